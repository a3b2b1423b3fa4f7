/*
 * threads.h: one thread for each worker, or the caller's own thread.
 *
 * The caller's thread waits in slices, on the monotonic clock, and never works while others do.
 * Threads that the system refuses are not needed: if none can be made, the caller's thread works.
 */
#ifndef DISSEVER_THREADS_H
#define DISSEVER_THREADS_H

#include "worker.h"

/* Prepare and give back the lock of `keys`. Open returns SEARCH_OK or SEARCH_NO_MEMORY; close only
 * after SEARCH_OK. */
int threads_open(struct threads *threads);
void threads_close(struct threads *threads);

/*
 * How many threads to use: one where starting them costs more than they save. 1 ..
 * KEYS_THREADS_MAX.
 */
int32_t threads_count(const struct keys_options *options, int32_t n_operations);

/* Start a thread for each worker; sets threads.are_begun unless there is none. */
void threads_begin(struct keys *keys);

/* Wait for the threads, at most some milliseconds. Returns whether they are done. */
bool threads_wait(struct threads *threads, int32_t milliseconds);

/* Join those that were begun. Blocks until each has ended its piece of work. */
void threads_join(struct keys *keys);

/* Let the first worker go on here, for some milliseconds. Returns whether this round has nothing
 * left. */
bool threads_work_here(struct keys *keys, int32_t milliseconds);

#endif
