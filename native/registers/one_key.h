/*
 * one_key.h: one key, from its events to the engine that fits.
 *
 * Where each value is produced at most once, and none is the initial one, zones.h decides in linear
 * time; a text that can be taken apart in one way alone is decided by texts.h. A value that was
 * read and that no operation sets makes the key invalid at once. All else is for key_search.h.
 */
#ifndef DISSEVER_ONE_KEY_H
#define DISSEVER_ONE_KEY_H

#include "worker.h"

/*
 * Judge the key in work, or open its search: then it returns KEYS_UNDECIDED. Evidence, engine and
 * witness are written into the results.
 */
enum keys_verdict one_key_begin(struct worker *worker);

#endif
