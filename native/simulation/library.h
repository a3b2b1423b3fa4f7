/*
 * The library of this build. Compiled with -DVARIANT="variant_….h", which includes the library's
 * header and says what differs between versions.
 */
#ifndef DISSEVER_SIMULATION_LIBRARY_H
#define DISSEVER_SIMULATION_LIBRARY_H

#include VARIANT

#endif
