/*
 * texts.h: a text that is put, grows at its end by appends, and is returned whole by gets.
 *
 * Where no text that is put or appended is empty or begins another, what a get returned can be
 * taken apart in one way alone: a put, or the initial text, then appends. Let no two be equal. Then
 * it is a register (zones.h): its values are the states that the gets returned and those before
 * them. A put writes one. An append that some get shows replaces the state before it, as a
 * compare-and-set does. An append that no get shows writes a value that nobody reads: no get comes
 * between it and the next put, so it stands between two blocks or after the last, which is all that
 * zones ask of such a write. A crashed put or append that no get shows is dropped: every get still
 * fits without it.
 *
 * Of equal appends it is not known which led to a state: an order is tried for the first that fits,
 * and for the last; it is invalid where even an append from the first invocation to the last return
 * of all of them contradicts the rest. Where a text may be of two blocks, since it was put twice,
 * or put and appended first, one is guessed; it is invalid where that holds without the gets of
 * such texts, which a linearization could spare.
 *
 * Otherwise the search decides. Its states are the texts that some get begins with, each numbered
 * by the first get, in order of bytes, that begins with it, and a length; all others are one state,
 * which only a put leaves, since no get follows from them.
 *
 * Time: O(n log n) comparisons of texts and once through each distinct text that a get returned.
 * Memory: some 250 bytes an operation of the largest key and 12 a value, for each thread; a quarter
 * of what the budget has left for a search is for its states.
 *
 * Sources: checks of logs by prefixes as in Elle (Kingsbury and Alvaro 2020); else as zones.h.
 */
#ifndef DISSEVER_TEXTS_H
#define DISSEVER_TEXTS_H

#include "keys.h"
#include "zones.h"

enum texts_answer {
    TEXTS_VALID,
    TEXTS_INVALID,
    TEXTS_AMBIGUOUS /* the search is to decide */
};

/* The operations of one key, numbered by invocation, from 0. */
struct texts_key {
    int32_t n;
    const int32_t *calls;  /* by operation: its place in the columns */
    const int32_t *events; /* as in zones.h */
    int32_t n_events;
    const int32_t *inv;    /* by operation: positions in events; ret: ZONES_NEVER where crashed */
    const int32_t *ret;
    int32_t *buckets;      /* scratch: n_events + 1 */
};

struct texts;

/* The bytes of what one thread needs for keys of at most n_max operations. */
uint64_t texts_bytes(int32_t n_max, int32_t n_values);

/* That, or NULL without memory. */
struct texts *texts_open(const struct columns *columns, const struct keys_options *options,
                         int32_t n_max);

/*
 * Begin a key. Returns the first operation that no text has, or -1. Only where it is -1 may the
 * functions below be called. Nothing of the key before is kept.
 */
int32_t texts_begin(struct texts *texts, const struct texts_key *key);

/* The most bytes that the key at hand took, without texts_bytes and the search. */
uint64_t texts_key_bytes(const struct texts *texts);

/* Decide a key without a search: a linearization in `order` (n entries), or the witness. */
enum texts_answer texts_judge(struct texts *texts, const struct texts_key *key, int32_t *order,
                              int32_t *length, struct witness *witness);

struct search;

/*
 * A search for the same key, to be closed before the next key begins. As search_open; a part of
 * max_bytes is for its states.
 */
struct search *texts_search(struct texts *texts, const struct texts_key *key,
                            uint64_t max_configurations, uint64_t max_bytes, int32_t *error);

/*
 * Whether an order is a linearization, with each text written out: every ok operation stands once,
 * every crashed one at most once, each get returns what is held, and none stands after one that was
 * invoked after it returned. 1 if so, 0 if not, -1 past max_bytes.
 */
int32_t texts_replay(struct texts *texts, const struct texts_key *key, const int32_t *order,
                     int32_t length, uint64_t max_bytes);

void texts_close(struct texts *texts);

#endif
