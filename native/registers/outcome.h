/*
 * outcome.h: what is written into the results of a key: witnesses, reasons and orders.
 *
 * Results are numbered for the caller: rows of the columns instead of local operations. Every
 * function here writes only entries of the key in work. Time: O(length of what is written), and
 * that of the replay.
 */
#ifndef DISSEVER_OUTCOME_H
#define DISSEVER_OUTCOME_H

#include "texts.h"
#include "worker.h"
#include "zones.h"

/* The same reason, as the results name it. KEYS_NO_REASON where there is none. */
enum keys_reason outcome_reason_of_zones(enum zones_reason reason);
enum keys_reason outcome_reason_of_texts(const struct texts_witness *witness);

/* Write the reason and the witness: n local operations, at most KEYS_WITNESS_MAX. */
void outcome_accuse(struct worker *worker, enum keys_reason reason, const int32_t *operations,
                    int32_t n);

/* Where the order of the key in work is to be made, in local operations: in the results where the
 * caller wants orders, else in scratch. */
int32_t *outcome_order(const struct worker *worker);

/*
 * Replay an order that stands in outcome_order, unless the options say otherwise, and number it for
 * the caller. Returns KEYS_VALID, KEYS_FLAWED where the replay fails, or KEYS_MEMORY.
 */
enum keys_verdict outcome_accept(struct worker *worker, int32_t *order, int32_t length);

#endif
