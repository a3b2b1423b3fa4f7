/*
 * numbering.c: one pass over the events of a key (see numbering.h).
 */
#include "numbering.h"

int32_t numbering_capacity(const struct keys_options *options, bool is_plain, int32_t n_calls)
{
    int64_t named = (options->cas >= 0 ? 2 : 1) * (int64_t)n_calls + 1;
    bool is_all = is_plain || named > (int64_t)options->n_values + 1;
    return is_all ? options->n_values + !is_plain : (int32_t)named;
}

/* The local number of a value. */
static int32_t localise(struct numbering *numbering, int32_t value)
{
    int32_t initial = numbering->options->initial;
    if (numbering->is_plain)
        return value == initial ? 0 : value == 0 ? initial : value;
    int32_t local = numbering->local_of[value] - 1;
    if (local >= 0)
        return local;
    if (numbering->n_values == numbering->capacity)
        return -1; /* never: a key has no more values than its operations name */
    local = numbering->n_values++;
    numbering->local_of[value] = local + 1;
    numbering->values_of[local] = value;
    numbering->values[local] = ZONES_UNSEEN;
    return local;
}

void numbering_begin(struct numbering *numbering)
{
    numbering->n_values = 0;
    if (numbering->is_plain) {
        numbering->n_values = numbering->capacity;
        for (int32_t v = 0; v < numbering->n_values; v++)
            numbering->values[v] = ZONES_UNSEEN;
    } else if (numbering->options->initial >= 0) {
        localise(numbering, numbering->options->initial);
    } else {
        numbering->values_of[0] = -1;
        numbering->values[0] = ZONES_UNSEEN;
        numbering->n_values = 1;
    }
    numbering->values[0].offset = ZONES_NEEDED;
}

void numbering_end(struct numbering *numbering)
{
    for (int32_t v = 0; v < numbering->n_values && !numbering->is_plain; v++)
        if (numbering->values_of[v] >= 0)
            numbering->local_of[numbering->values_of[v]] = 0;
}

/* Take one invocation. Returns a keys_verdict: KEYS_UNDECIDED means go on. */
static enum keys_verdict take_call(struct numbering *numbering, int32_t i, int32_t operation,
                                   int32_t position, int8_t *evidence)
{
    const struct columns *columns = numbering->columns;
    const struct keys_options *options = numbering->options;
    int32_t f = columns->f[operation], want = -1, make = -1;
    bool is_ok = columns->type[operation] == COLUMNS_OK;

    if (f == options->read) {
        if ((want = localise(numbering, columns->value_out[operation])) < 0)
            return KEYS_MEMORY;
        numbering->values[want].read_inv = position;
        numbering->values[want].n_reads++;
        numbering->values[want].offset = ZONES_NEEDED;
    } else if (f == options->cas) {
        if (columns->a[operation] < 0 || columns->b[operation] < 0)
            return KEYS_MALFORMED;
        want = localise(numbering, columns->a[operation]);
        make = localise(numbering, columns->b[operation]);
        if (want < 0 || make < 0)
            return KEYS_MEMORY;
    } else if (f == options->write) {
        if ((make = localise(numbering, columns->value_in[operation])) < 0)
            return KEYS_MEMORY;
    } else {
        return KEYS_MALFORMED;
    }
    numbering->want[i] = want;
    numbering->make[i] = make;
    if (make < 0)
        return KEYS_UNDECIDED;
    struct zones_value *value = &numbering->values[make];
    if (*evidence == KEYS_UNIQUE && (make == 0 || make == want || value->producer >= 0))
        *evidence = make == want ? KEYS_UNCHANGED : make == 0 ? KEYS_INITIAL_AGAIN : KEYS_REPEATED;
    value->producer = i;
    value->hi = position;
    if (is_ok)
        value->offset = ZONES_NEEDED;
    return KEYS_UNDECIDED;
}

static void take_return(struct numbering *numbering, int32_t i, int32_t position)
{
    bool is_read = numbering->make[i] < 0;
    int32_t local = is_read ? numbering->want[i] : numbering->make[i];
    struct zones_value *value = &numbering->values[local];
    int32_t *first = is_read ? &value->read_ret : &value->lo;
    *first = position < *first ? position : *first; /* `lo` is used only where no value repeats */
}

struct taken numbering_take(struct numbering *numbering, struct part part, bool is_in_order)
{
    const struct columns *columns = numbering->columns;
    const int32_t n_events = part.n_events, *events = part.events, *calls = part.calls;
    struct taken taken = {KEYS_UNDECIDED, KEYS_UNIQUE, false, false, -1};
    int64_t before = n_events > 0 ? columns->inv_time[calls[0]] - 1 : 0;

    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = events[position], i = (event > 0 ? event : -event) - 1;
        int32_t operation = calls[i];
        int64_t time;
        if (event < 0) {
            take_return(numbering, i, position);
            time = columns->ret_time[operation];
        } else {
            taken.verdict = take_call(numbering, i, operation, position, &taken.evidence);
            taken.has_cas = taken.has_cas || columns->f[operation] == numbering->options->cas;
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
