/*
 * one_key.c: one key, from its events to the engine that decides it.
 *
 * Where each value is produced at most once, and none is the initial one, zones.h decides in linear
 * time; a text that can be taken apart in one way alone is decided by texts.h. A value that was
 * read and that no operation sets makes the key invalid at once. All else is for the search.
 *
 * Results are numbered for the caller: rows of the columns instead of local operations.
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include <string.h>

#include "pages.h"
#include "texts.h"
#include "worker.h"
#include "zones.h"

#define SLICE_CONFIGURATIONS 100000

/* What came of the events of a key. */
struct taken {
    enum keys_verdict verdict; /* KEYS_UNDECIDED: an engine is to decide */
    int8_t evidence;           /* a keys_evidence, where all were taken */
    bool has_cas;
    bool has_ties;             /* stopped at two neighbours of one time */
    int32_t at;                /* the local operation it stopped at */
};

/* The local number of a value. */
static int32_t localise(struct worker *worker, int32_t value)
{
    int32_t initial = worker->keys->options.initial;
    if (worker->keys->is_plain)
        return value == initial ? 0 : value == 0 ? initial : value;
    int32_t local = worker->local_of[value] - 1;
    if (local >= 0)
        return local;
    if (worker->n_values == worker->capacity)
        return -1; /* never: a key has no more values than its operations name */
    local = worker->n_values++;
    worker->local_of[value] = local + 1;
    worker->values_of[local] = value;
    worker->values[local] = ZONES_UNSEEN;
    return local;
}

/* Begin a key: all values are unseen, except the initial one. */
static void numbering_begin(struct worker *worker)
{
    int32_t initial = worker->keys->options.initial;
    worker->n_values = 0;
    if (worker->keys->is_plain) {
        worker->n_values = worker->capacity;
        for (int32_t v = 0; v < worker->n_values; v++)
            worker->values[v] = ZONES_UNSEEN;
    } else if (initial >= 0) {
        localise(worker, initial);
    } else {
        worker->values_of[0] = -1;
        worker->values[0] = ZONES_UNSEEN;
        worker->n_values = 1;
    }
    worker->values[0].offset = ZONES_NEEDED;
}

/* Give the numbers back. */
static void numbering_end(struct worker *worker)
{
    for (int32_t v = 0; v < worker->n_values && !worker->keys->is_plain; v++)
        if (worker->values_of[v] >= 0)
            worker->local_of[worker->values_of[v]] = 0;
}

/* Take one invocation. Returns a keys_verdict: KEYS_UNDECIDED means go on. */
static enum keys_verdict take_call(struct worker *worker, int32_t i, int32_t operation,
                                   int32_t position, int8_t *evidence)
{
    const struct columns *columns = worker->keys->columns;
    const struct keys_options *options = &worker->keys->options;
    int32_t f = columns->f[operation], want = -1, make = -1;
    bool is_ok = columns->type[operation] == COLUMNS_OK;

    if (f == options->read) {
        if ((want = localise(worker, columns->value_out[operation])) < 0)
            return KEYS_MEMORY;
        worker->values[want].read_inv = position;
        worker->values[want].n_reads++;
        worker->values[want].offset = ZONES_NEEDED;
    } else if (f == options->cas) {
        if (columns->a[operation] < 0 || columns->b[operation] < 0)
            return KEYS_MALFORMED;
        want = localise(worker, columns->a[operation]);
        make = localise(worker, columns->b[operation]);
        if (want < 0 || make < 0)
            return KEYS_MEMORY;
    } else if (f == options->write) {
        if ((make = localise(worker, columns->value_in[operation])) < 0)
            return KEYS_MEMORY;
    } else {
        return KEYS_MALFORMED;
    }
    worker->want[i] = want;
    worker->make[i] = make;
    if (make < 0)
        return KEYS_UNDECIDED;
    struct zones_value *value = &worker->values[make];
    if (*evidence == KEYS_UNIQUE && (make == 0 || make == want || value->producer >= 0))
        *evidence = make == want ? KEYS_UNCHANGED : make == 0 ? KEYS_INITIAL_AGAIN : KEYS_REPEATED;
    value->producer = i;
    value->hi = position;
    if (is_ok)
        value->offset = ZONES_NEEDED;
    return KEYS_UNDECIDED;
}

static void take_return(struct worker *worker, int32_t i, int32_t position)
{
    bool is_read = worker->make[i] < 0;
    int32_t local = is_read ? worker->want[i] : worker->make[i];
    struct zones_value *value = &worker->values[local];
    int32_t *first = is_read ? &value->read_ret : &value->lo;
    *first = position < *first ? position : *first; /* `lo` is used only where no value repeats */
}

/*
 * Take the events of a key in order, up to the first that does not fit. Fills want, make and
 * values. is_in_order: events of one time stand as partition_order_ties leaves them; else it stops
 * at them.
 */
static struct taken numbering_take(struct worker *worker, bool is_in_order)
{
    const struct columns *columns = worker->keys->columns;
    const int32_t n_events = worker->part.n_events, *events = worker->part.events;
    const int32_t *calls = worker->part.calls, cas = worker->keys->options.cas;
    struct taken taken = {KEYS_UNDECIDED, KEYS_UNIQUE, false, false, -1};
    int64_t before = n_events > 0 ? columns->inv_time[calls[0]] - 1 : 0;

    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = events[position], i = (event > 0 ? event : -event) - 1;
        int32_t operation = calls[i];
        int64_t time;
        if (event < 0) {
            take_return(worker, i, position);
            time = columns->ret_time[operation];
        } else {
            taken.verdict = take_call(worker, i, operation, position, &taken.evidence);
            taken.has_cas = taken.has_cas || columns->f[operation] == cas;
            time = columns->inv_time[operation];
        }
        taken.has_ties = time == before && !is_in_order;
        taken.at = i;
        if (taken.verdict != KEYS_UNDECIDED || taken.has_ties)
            break;
        before = time;
    }
    return taken;
}

/* Write the reason and the witness: n local operations, at most KEYS_WITNESS_MAX. */
static void accuse(struct worker *worker, enum keys_reason reason, const int32_t *operations,
                   int32_t n)
{
    struct keys_results *results = &worker->keys->results;
    int32_t key = worker->key;
    results->reason[key] = (int8_t)reason;
    results->n_witness[key] = n;
    for (int32_t i = 0; i < n; i++)
        results->witness[KEYS_WITNESS_MAX * key + i] = worker->part.calls[operations[i]];
}

/* Where the order of the key in work is to be made, in local operations. */
static int32_t *order_of(const struct worker *worker)
{
    const struct keys_results *results = &worker->keys->results;
    return results->order + results->order_start[worker->key];
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
    const int32_t n = worker->part.n, *wants = worker->want;
    const int32_t *makes = worker->make;
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

/*
 * Replay an order that stands in order_of, and number it for the caller. Returns KEYS_VALID,
 * KEYS_FLAWED where the replay fails, or KEYS_MEMORY.
 */
static enum keys_verdict accept(struct worker *worker, int32_t *order, int32_t length)
{
    enum keys_verdict verdict = replay(worker, order, length);
    if (verdict != KEYS_VALID)
        return verdict;
    worker->keys->results.order_length[worker->key] = length;
    for (int32_t i = 0; i < length; i++)
        order[i] = worker->part.calls[order[i]];
    return KEYS_VALID;
}

static int32_t new_transition(struct worker *worker, int32_t *n, int32_t want, int32_t make)
{
    worker->want_of[*n] = want;
    worker->make_of[*n] = make;
    return ++*n;
}

/* Room for the arrays that a search reads, within `max_bytes`. */
static bool open_arrays(struct worker *worker, size_t n, uint64_t max_bytes)
{
    size_t n_values = (size_t)worker->n_values;
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

/* Number the distinct transitions. Returns how many. */
static int32_t number_transitions(struct worker *worker)
{
    const int32_t *wants = worker->want, *makes = worker->make;
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

/*
 * Begin a search with a table of want and make instead of one of states; for texts see
 * texts_search. Returns KEYS_UNDECIDED when a search is to run, else KEYS_WIDE or KEYS_MEMORY.
 */
static enum keys_verdict open_search(struct worker *worker)
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
        struct search_problem problem = {
            .n_operations = part->n, .n_transitions = n_transitions,
            .transition = worker->transition, .n_states = worker->n_values,
            .want = worker->want_of, .make = worker->make_of, .events = part->events,
            .n_events = part->n_events, .max_configurations = share,
            .max_bytes = room - worker->search_bytes};
        worker->search = search_open(&problem, &error);
    } else {
        return KEYS_MEMORY;
    }
    if (worker->search != NULL)
        return KEYS_UNDECIDED;
    worker_close_search(worker);
    return error == SEARCH_WIDE ? KEYS_WIDE : KEYS_MEMORY;
}

enum keys_verdict one_key_run(struct worker *worker)
{
    static const enum keys_verdict verdicts[] = {
        [SEARCH_VALID] = KEYS_VALID, [SEARCH_INVALID] = KEYS_INVALID,
        [SEARCH_CONFIGURATIONS] = KEYS_CONFIGURATIONS, [SEARCH_MEMORY] = KEYS_MEMORY,
        [SEARCH_CAPPED] = KEYS_CAPPED,
        [SEARCH_RAISED] = KEYS_MEMORY, /* lazy states of texts fail for want of memory alone */
    };
    struct keys_results *results = &worker->keys->results;
    struct search *search = worker->search;
    int32_t status = search_run(search, SLICE_CONFIGURATIONS);
    if (status == SEARCH_PAUSED)
        return KEYS_UNDECIDED;
    bool is_depth = search_decided_by(search) == SEARCH_DEPTH;
    results->engine[worker->key] = is_depth ? KEYS_DEPTH : KEYS_BREADTH;
    results->configurations[worker->key] += search_configurations(search);
    uint64_t of_texts = worker->texts == NULL ? 0 : texts_key_bytes(worker->texts);
    worker_note_bytes(worker, worker->search_bytes + search_peak_bytes(search) + of_texts);
    if (status == SEARCH_VALID) {
        int32_t *order = order_of(worker);
        return accept(worker, order, search_order(search, order));
    }
    int32_t failing = search_failing(search);
    if (failing >= 0)
        accuse(worker, status == SEARCH_INVALID ? KEYS_SEARCHED : KEYS_NO_REASON, &failing, 1);
    return verdicts[status];
}

static enum keys_verdict judge_zones(struct worker *worker, bool has_cas)
{
    struct zones zones = {
        .n_operations = worker->part.n, .n_positions = worker->part.n_events,
        .events = worker->part.events, .want = worker->want, .make = worker->make,
        .n_values = worker->n_values, .values = worker->values, .has_cas = has_cas,
        .buckets = worker->buckets};
    struct witness witness;
    int32_t *order = order_of(worker), length;
    if (zones_judge(&zones, order, &length, &witness) == KEYS_NO_REASON)
        return accept(worker, order, length);
    accuse(worker, witness.reason, witness.operations, witness.n_operations);
    return KEYS_INVALID;
}

/* Whether a read returned a value that no operation sets: invalid, whatever else happened. */
static bool has_phantom(struct worker *worker)
{
    for (int32_t v = 1; v < worker->n_values; v++) {
        const struct zones_value *value = &worker->values[v];
        if (value->n_reads == 0 || value->producer >= 0)
            continue;
        int32_t read = -worker->part.events[value->read_ret] - 1;
        accuse(worker, KEYS_PHANTOM, &read, 1);
        return true;
    }
    return false;
}

static enum keys_verdict begin_text(struct worker *worker)
{
    struct keys *keys = worker->keys;
    if (partition_order_ties(keys->columns, worker->part, worker->buckets) < 0)
        return KEYS_MEMORY;
    worker_fill_positions(worker);
    struct texts_key text = worker_text_key(worker);
    struct witness witness;
    int32_t misfit = texts_begin(worker->texts, &text), length;
    int32_t *order = order_of(worker);
    enum texts_answer answer = TEXTS_AMBIGUOUS;
    if (misfit >= 0) {
        accuse(worker, KEYS_NO_REASON, &misfit, 1);
        return KEYS_MALFORMED;
    }
    if (!keys->options.search_only)
        answer = texts_judge(worker->texts, &text, order, &length, &witness);
    bool is_decided = answer != TEXTS_AMBIGUOUS;
    keys->results.evidence[worker->key] = is_decided ? KEYS_DISTINCT : KEYS_AMBIGUOUS;
    keys->results.engine[worker->key] = is_decided ? KEYS_TEXTS : KEYS_NONE;
    if (answer == TEXTS_VALID)
        return accept(worker, order, length);
    if (answer == TEXTS_AMBIGUOUS)
        return open_search(worker);
    accuse(worker, witness.reason, witness.operations, witness.n_operations);
    return KEYS_INVALID;
}

enum keys_verdict one_key_begin(struct worker *worker)
{
    struct keys *keys = worker->keys;
    if (!worker_has_room(worker))
        return KEYS_MEMORY;
    if (worker->texts != NULL)
        return begin_text(worker);
    numbering_begin(worker);
    struct taken taken = numbering_take(worker, keys->round == ROUND_REST);
    if (taken.has_ties) {
        numbering_end(worker);
        if (partition_order_ties(keys->columns, worker->part, worker->buckets) < 0)
            return KEYS_MEMORY;
        numbering_begin(worker);
        taken = numbering_take(worker, true);
    }
    enum keys_verdict verdict = taken.verdict;
    keys->results.evidence[worker->key] = taken.evidence;
    if (verdict != KEYS_UNDECIDED) {
        accuse(worker, KEYS_NO_REASON, &taken.at, verdict == KEYS_MALFORMED);
    } else if (taken.evidence == KEYS_UNIQUE && !keys->options.search_only) {
        keys->results.engine[worker->key] = taken.has_cas ? KEYS_CHAINS : KEYS_ZONES;
        verdict = judge_zones(worker, taken.has_cas);
    } else if (has_phantom(worker) && !keys->options.search_only) {
        keys->results.engine[worker->key] = KEYS_VALUES;
        verdict = KEYS_INVALID;
    } else {
        verdict = open_search(worker);
    }
    numbering_end(worker);
    return verdict;
}
