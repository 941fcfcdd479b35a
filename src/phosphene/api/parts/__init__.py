"""The parts of a trained model that other programs can use, each found by what the model can do."""
