"""Energy-based models: Boltzmann machines, and chains whose stationary law is learned."""
