/* The end of the simulator by a signal: in a library's code it is the end of a server's process. */
#ifndef DISSEVER_SIMULATION_CRASH_H
#define DISSEVER_SIMULATION_CRASH_H

/*
 * From now on SIGSEGV and its like write what was said so far, then FRAME_EXIT of the server whose
 * code ran, with the signal as a negative status; what ran goes to stderr, and the simulator ends
 * with status 0. An event that does not end counts as SIGXCPU after some 5 s of the processor. If
 * no server's code ran, it is our own fault: it ends with status 3.
 */
void crash_catch(void);

#endif
