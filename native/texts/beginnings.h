/*
 * beginnings.h: the states of the search for texts: each is the beginning of what some get
 * returned.
 *
 * The search itself is texts_search (texts.h). Its states live in `places`, numbered as they are
 * met, and are given back by beginnings_free. Limits: CELLS_MAX cells of a whole table; past that,
 * and where nothing crashed, states are made while the search runs (lazy.h). Memory: 24 bytes a
 * state.
 */
#ifndef DISSEVER_BEGINNINGS_H
#define DISSEVER_BEGINNINGS_H

#include "corpus.h"

/* Forget all states. May be called again. */
void beginnings_free(struct texts *texts);

/* The bytes that the states of the key at hand take, with their table. */
uint64_t beginnings_bytes(const struct texts *texts);

#endif
