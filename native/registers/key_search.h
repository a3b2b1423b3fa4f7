/*
 * key_search.h: the search for the key in work, for what the data alone do not decide.
 *
 * It gives search.h a table of want and make instead of one of states; for texts see texts_search.
 * Time and memory: those of search.h, within the share of configurations and bytes that the round
 * gives the key.
 */
#ifndef DISSEVER_KEY_SEARCH_H
#define DISSEVER_KEY_SEARCH_H

#include "worker.h"

/*
 * Begin, after the numbering has taken all events (or texts_begin the key). Returns KEYS_UNDECIDED
 * when a search is to run, else KEYS_WIDE or KEYS_MEMORY.
 */
enum keys_verdict key_search_open(struct worker *worker);

/* Run one slice, and write what comes of it. Returns KEYS_UNDECIDED while it goes on. */
enum keys_verdict key_search_run(struct worker *worker);

/* Give its memory back. May be called without a search. */
void key_search_close(struct worker *worker);

#endif
