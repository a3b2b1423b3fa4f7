/*
 * The same addresses in every process: a library that reads memory that it never wrote finds there
 * what stood on the stack before, which may be an address.
 */
#ifndef DISSEVER_SIMULATION_ADDRESSES_H
#define DISSEVER_SIMULATION_ADDRESSES_H

/* Start this program once more, without random addresses and without an environment, unless that is
 * done. Where the kernel does not allow it, nothing happens. */
void addresses_fix(void);

#endif
