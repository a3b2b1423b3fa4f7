/*
 * outcome.c: witnesses, reasons and replayed orders of a key (see outcome.h).
 */
#include "outcome.h"

#include <string.h>

enum keys_reason outcome_reason_of_zones(enum zones_reason reason)
{
    switch (reason) {
    case ZONES_VALID:
        break;
    case ZONES_PHANTOM:
        return KEYS_PHANTOM;
    case ZONES_CONSUMED_TWICE:
        return KEYS_CONSUMED_TWICE;
    case ZONES_ROOTLESS:
        return KEYS_ROOTLESS;
    case ZONES_INSIDE:
        return KEYS_INSIDE;
    case ZONES_CONFLICT:
        return KEYS_CONFLICT;
    }
    return KEYS_NO_REASON;
}

enum keys_reason outcome_reason_of_texts(const struct texts_witness *witness)
{
    switch (witness->reason) {
    case TEXTS_ZONES:
        return outcome_reason_of_zones(witness->of_zones);
    case TEXTS_PHANTOM:
        return KEYS_PHANTOM;
    case TEXTS_APART:
        return KEYS_APART;
    case TEXTS_TWICE:
        return KEYS_TWICE;
    }
    return KEYS_NO_REASON;
}

void outcome_accuse(struct worker *worker, enum keys_reason reason, const int32_t *operations,
                    int32_t n)
{
    struct keys_results *results = &worker->keys->results;
    int32_t key = worker->key;
    results->reason[key] = (int8_t)reason;
    results->n_witness[key] = n;
    for (int32_t i = 0; i < n; i++)
        results->witness[KEYS_WITNESS_MAX * key + i] = worker->part.calls[operations[i]];
}

int32_t *outcome_order(const struct worker *worker)
{
    const struct keys_results *results = &worker->keys->results;
    return results->order == NULL ? worker->order
                                  : results->order + results->order_start[worker->key];
}

/*
 * Whether an order is a linearization, by the definition alone: each ok operation stands once,
 * each crashed one at most once, each finds the value it wants, and none stands after one that was
 * invoked after it returned. It works on local values and positions, which exist only after the
 * partition; unique.c has rows and columns only, and replays those. seen: by operation, scratch.
 */
static bool is_linearization(const struct worker *worker, const int32_t *order, int32_t length,
                             int32_t *seen)
{
    const int32_t n = worker->part.n, *wants = worker->numbering.want;
    const int32_t *makes = worker->numbering.make;
    int32_t state = 0, greatest_inv = -1, n_missing = 0;
    memset(seen, 0, sizeof(int32_t) * (size_t)n);
    for (int32_t place = 0; place < length; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= n || seen[i])
            return false;
        seen[i] = 1;
        if (wants[i] >= 0 && wants[i] != state)
            return false;
        if (makes[i] >= 0)
            state = makes[i];
        if (worker->ret[i] < greatest_inv)
            return false;
        if (worker->inv[i] > greatest_inv)
            greatest_inv = worker->inv[i];
    }
    for (int32_t i = 0; i < n; i++)
        n_missing += !seen[i] && worker->ret[i] != ZONES_NEVER;
    return n_missing == 0;
}

static enum keys_verdict replay(struct worker *worker, const int32_t *order, int32_t length)
{
    worker_fill_positions(worker);
    if (worker->texts == NULL)
        return is_linearization(worker, order, length, worker->buckets) ? KEYS_VALID : KEYS_FLAWED;
    struct texts_key text = worker_text_key(worker);
    uint64_t searched = worker->search == NULL ? 0 : search_peak_bytes(worker->search);
    uint64_t room = worker_room(worker) - searched - texts_key_bytes(worker->texts);
    int32_t answer = texts_replay(worker->texts, &text, order, length, room);
    worker_note_bytes(worker, searched + texts_key_bytes(worker->texts));
    return answer < 0 ? KEYS_MEMORY : answer ? KEYS_VALID : KEYS_FLAWED;
}

enum keys_verdict outcome_accept(struct worker *worker, int32_t *order, int32_t length)
{
    struct keys *keys = worker->keys;
    enum keys_verdict verdict = KEYS_VALID;
    if (keys->options.is_replayed)
        verdict = replay(worker, order, length);
    if (keys->results.order == NULL || verdict != KEYS_VALID)
        return verdict;
    keys->results.order_length[worker->key] = length;
    for (int32_t i = 0; i < length; i++)
        order[i] = worker->part.calls[order[i]];
    return KEYS_VALID;
}
