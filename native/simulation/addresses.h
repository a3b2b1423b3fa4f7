/*
 * The same addresses in every process: a library that reads memory that it never wrote finds there
 * what stood on the stack before, which may be an address.
 */
#ifndef DISSEVER_SIMULATION_ADDRESSES_H
#define DISSEVER_SIMULATION_ADDRESSES_H

/* Start this program once more, without random addresses and without an environment, unless that is
 * done. Where the kernel does not allow it, nothing happens. */
void addresses_fix(void);

/* Call `work` on a stack at a fixed address, which begins with zeros; what it returns. Containers
 * often do not allow the above, and addresses of the stack are what a library picks up most. */
int addresses_run(int (*work)(void));

/* Fill the stack below the caller as fresh memory of a server is filled. Called before the library
 * is, so that what our own code left there, which differs between compilers, is not picked up. */
void stack_fill(void);

#endif
