/*
 * key_search.c: transitions of a key, and slices of its search (see key_search.h).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include "key_search.h"

#include "outcome.h"
#include "pages.h"

#define SLICE_CONFIGURATIONS 100000

static int32_t new_transition(struct worker *worker, int32_t *n, int32_t want, int32_t make)
{
    worker->want_of[*n] = want;
    worker->make_of[*n] = make;
    return ++*n;
}

/* Room for the arrays that a search reads, within `max_bytes`. */
static bool open_arrays(struct worker *worker, size_t n, uint64_t max_bytes)
{
    size_t n_values = (size_t)worker->numbering.n_values;
    worker->search_bytes = sizeof(int32_t) * (2 * n_values + 3 * n);
    if (worker->search_bytes > max_bytes)
        return false;
    worker->search_memory = pages_zeroed(worker->search_bytes);
    worker->reads = worker->search_memory;
    worker->writes = worker->reads + n_values;
    worker->transition = worker->writes + n_values;
    worker->want_of = worker->transition + n;
    worker->make_of = worker->want_of + n;
    return worker->search_memory != NULL;
}

void key_search_close(struct worker *worker)
{
    search_close(worker->search);
    pages_release(worker->search_memory, worker->search_bytes);
    worker->search = NULL;
    worker->search_memory = NULL;
}

/* Number the distinct transitions. Returns how many. */
static int32_t number_transitions(struct worker *worker)
{
    const int32_t *wants = worker->numbering.want, *makes = worker->numbering.make;
    const int32_t *pairs = worker->keys->columns->value_in, *calls = worker->part.calls;
    int32_t n = worker->part.n, n_transitions = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t want = wants[i], make = makes[i];
        int32_t *known = want < 0   ? &worker->writes[make]
                         : make < 0 ? &worker->reads[want]
                                    : &worker->transition_of[pairs[calls[i]]];
        if (*known == 0)
            *known = new_transition(worker, &n_transitions, want, make);
        worker->transition[i] = *known - 1;
    }
    for (int32_t i = 0; i < n; i++)
        if (wants[i] >= 0 && makes[i] >= 0)
            worker->transition_of[pairs[calls[i]]] = 0;
    return n_transitions;
}

enum keys_verdict key_search_open(struct worker *worker)
{
    const struct keys *keys = worker->keys;
    const struct part *part = &worker->part;
    int32_t error;
    uint64_t room = worker_room(worker);
    uint64_t share = keys->round == ROUND_REST ? keys->left / (uint64_t)keys->n_waiting
                                               : keys->share;
    if (worker->texts != NULL) {
        struct texts_key text = worker_text_key(worker);
        worker->search = texts_search(worker->texts, &text, share, room, &error);
    } else if (open_arrays(worker, (size_t)part->n, room)) {
        int32_t n_transitions = number_transitions(worker);
        worker->search = search_open_register(
            part->n, part->events, part->n_events, worker->transition,
            worker->numbering.n_values, n_transitions, worker->want_of, worker->make_of, share,
            room - worker->search_bytes, &error);
    } else {
        return KEYS_MEMORY;
    }
    if (worker->search != NULL)
        return KEYS_UNDECIDED;
    key_search_close(worker);
    return error == SEARCH_WIDE ? KEYS_WIDE : KEYS_MEMORY;
}

/* Lazy states of texts fail for want of memory alone. */
static enum keys_verdict verdict_of(enum search_status status)
{
    switch (status) {
    case SEARCH_PAUSED:
        return KEYS_UNDECIDED;
    case SEARCH_VALID:
        return KEYS_VALID;
    case SEARCH_INVALID:
        return KEYS_INVALID;
    case SEARCH_CONFIGURATIONS:
        return KEYS_CONFIGURATIONS;
    case SEARCH_MEMORY:
    case SEARCH_RAISED:
        return KEYS_MEMORY;
    case SEARCH_CAPPED:
        return KEYS_CAPPED;
    }
    return KEYS_UNDECIDED;
}

enum keys_verdict key_search_run(struct worker *worker)
{
    struct keys_results *results = &worker->keys->results;
    struct search *search = worker->search;
    enum search_status status = search_run(search, SLICE_CONFIGURATIONS);
    if (status == SEARCH_PAUSED)
        return KEYS_UNDECIDED;
    bool is_depth = search_decided_by(search) == SEARCH_DEPTH;
    results->engine[worker->key] = is_depth ? KEYS_DEPTH : KEYS_BREADTH;
    results->configurations[worker->key] += search_configurations(search);
    uint64_t of_texts = worker->texts == NULL ? 0 : texts_key_bytes(worker->texts);
    worker_note_bytes(worker, worker->search_bytes + search_peak_bytes(search) + of_texts);
    if (status == SEARCH_VALID) {
        int32_t *order = outcome_order(worker);
        return outcome_accept(worker, order, search_order(search, order));
    }
    int32_t failing = search_failing(search);
    if (failing >= 0)
        outcome_accuse(worker, status == SEARCH_INVALID ? KEYS_SEARCHED : KEYS_NO_REASON, &failing,
                       1);
    return verdict_of(status);
}
