/*
 * threads.h: one thread for each worker, or the caller's own thread.
 *
 * The caller's thread waits in slices, on the monotonic clock, and never works while others do.
 * Threads that the system refuses are not needed: if none can be made, the caller's thread works.
 */
#ifndef DISSEVER_THREADS_H
#define DISSEVER_THREADS_H

#include "worker.h"

/*
 * Make and free the lock and the condition. threads_open returns SEARCH_OK or SEARCH_NO_MEMORY;
 * threads_close is for SEARCH_OK alone, with no thread running.
 */
int threads_open(struct threads *threads);
void threads_close(struct threads *threads);

/*
 * How many threads to use, from 1 to KEYS_THREADS_MAX: one where starting more costs more than they
 * save.
 */
int32_t threads_count(const struct keys_options *options, int32_t n_operations);

/* Start a thread for each worker; sets threads.are_begun unless none could be made. */
void threads_begin(struct keys *keys);

/* Wait for the threads, at most some milliseconds. Returns whether they are done. */
bool threads_wait(struct threads *threads, int32_t milliseconds);

/* Join those that were begun. Blocks until each has ended its piece of work. */
void threads_join(struct keys *keys);

/* Let the first worker go on here, for some milliseconds. Returns whether this round has nothing
 * left. */
bool threads_work_here(struct keys *keys, int32_t milliseconds);

#endif
