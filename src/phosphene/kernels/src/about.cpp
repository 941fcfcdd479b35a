// What the loader asks before it trusts the library.
#include "vectors.h"

// Changes with every change of a function's arguments; library.py names the one it speaks.
PH_API int ph_interface() { return 6; }
PH_API int ph_vector_bytes() { return PH_BYTES; }
