/*
 * one_key.c: which engine decides a key (see one_key.h).
 */
#include "one_key.h"

#include "key_search.h"
#include "outcome.h"
#include "texts.h"
#include "zones.h"

static enum keys_verdict judge_zones(struct worker *worker, bool has_cas)
{
    const struct keys *keys = worker->keys;
    const struct numbering *numbering = &worker->numbering;
    bool needs_order = keys->results.order != NULL || keys->options.is_replayed;
    struct zones zones = {
        .n_operations = worker->part.n, .n_positions = worker->part.n_events,
        .events = worker->part.events, .want = numbering->want, .make = numbering->make,
        .n_values = numbering->n_values, .values = numbering->values, .has_cas = has_cas,
        .buckets = worker->buckets};
    struct zones_witness witness;
    int32_t *order = needs_order ? outcome_order(worker) : NULL, length;
    if (zones_judge(&zones, order, &length, &witness) == ZONES_VALID)
        return needs_order ? outcome_accept(worker, order, length) : KEYS_VALID;
    outcome_accuse(worker, outcome_reason_of_zones(witness.reason), witness.operations,
                   witness.n_operations);
    return KEYS_INVALID;
}

/* Whether a read returned a value that no operation sets: invalid, whatever else happened. */
static bool has_phantom(struct worker *worker)
{
    for (int32_t v = 1; v < worker->numbering.n_values; v++) {
        const struct zones_value *value = &worker->numbering.values[v];
        if (value->n_reads == 0 || value->producer >= 0)
            continue;
        int32_t read = -worker->part.events[value->read_ret] - 1;
        outcome_accuse(worker, KEYS_PHANTOM, &read, 1);
        return true;
    }
    return false;
}

static enum keys_verdict begin_text(struct worker *worker)
{
    struct keys *keys = worker->keys;
    partition_order_ties(keys->columns, worker->part, worker->buckets);
    worker_fill_positions(worker);
    struct texts_key text = worker_text_key(worker);
    struct texts_witness witness;
    int32_t misfit = texts_begin(worker->texts, &text), length;
    int32_t *order = outcome_order(worker);
    enum texts_answer answer = TEXTS_AMBIGUOUS;
    if (misfit >= 0) {
        outcome_accuse(worker, KEYS_NO_REASON, &misfit, 1);
        return KEYS_MALFORMED;
    }
    if (!keys->options.search_only)
        answer = texts_judge(worker->texts, &text, order, &length, &witness);
    bool is_decided = answer != TEXTS_AMBIGUOUS;
    keys->results.evidence[worker->key] = is_decided ? KEYS_DISTINCT : KEYS_AMBIGUOUS;
    keys->results.engine[worker->key] = is_decided ? KEYS_TEXTS : KEYS_NONE;
    if (answer == TEXTS_VALID)
        return outcome_accept(worker, order, length);
    if (answer == TEXTS_AMBIGUOUS)
        return key_search_open(worker);
    outcome_accuse(worker, outcome_reason_of_texts(&witness), witness.operations,
                   witness.n_operations);
    return KEYS_INVALID;
}

enum keys_verdict one_key_begin(struct worker *worker)
{
    struct keys *keys = worker->keys;
    struct numbering *numbering = &worker->numbering;
    if (!worker_has_room(worker))
        return KEYS_MEMORY;
    if (worker->texts != NULL)
        return begin_text(worker);
    numbering_begin(numbering);
    struct taken taken = numbering_take(numbering, worker->part, keys->round == ROUND_REST);
    if (taken.has_ties) {
        numbering_end(numbering);
        partition_order_ties(keys->columns, worker->part, worker->buckets);
        numbering_begin(numbering);
        taken = numbering_take(numbering, worker->part, true);
    }
    enum keys_verdict verdict = taken.verdict;
    keys->results.evidence[worker->key] = taken.evidence;
    if (verdict != KEYS_UNDECIDED) {
        outcome_accuse(worker, KEYS_NO_REASON, &taken.at, verdict == KEYS_MALFORMED);
    } else if (taken.evidence == KEYS_UNIQUE && !keys->options.search_only) {
        keys->results.engine[worker->key] = taken.has_cas ? KEYS_CHAINS : KEYS_ZONES;
        verdict = judge_zones(worker, taken.has_cas);
    } else if (has_phantom(worker) && !keys->options.search_only) {
        keys->results.engine[worker->key] = KEYS_VALUES;
        verdict = KEYS_INVALID;
    } else {
        verdict = key_search_open(worker);
    }
    numbering_end(numbering);
    return verdict;
}
