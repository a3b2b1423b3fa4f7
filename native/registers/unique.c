/*
 * unique.c: one register alone, written and read, whose values are each written once: judged
 * straight from the columns, in streams.
 *
 * It decides what zones.h decides, without a split, events or numbers of its own: an operation is
 * its row, a position is its index in the history. Nothing branches on what an operation is, since
 * no processor can predict that. Anything else is left to the engines for all keys: another f, a
 * value written twice, a call at the time of the return before it, columns that contradict each
 * other.
 *
 * Why there are two: zones.h takes 2.5 times as long for a history of this kind, the most common
 * one (68 ms against 27 ms for a million operations, measured on one core with the interpreter's
 * part).
 *
 * Time O(n): 25 ns an operation, replay included. Memory: 4 bytes an event, 4 and a bit an
 * operation, 16 a value.
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include <string.h>

#include "pages.h"
#include "worker.h"

#define VALUES_MIN 1024
#define SPARSE 8 /* positions an operation */

/* One value; all zeros before it is seen. Once its block has a place, at[0] is the place of what
 * wrote it and at[1] that of its next read. */
struct value {
    union {
        struct {
            uint32_t late; /* UINT32_MAX - least return: 0 is never */
            uint32_t hi;   /* greatest invocation + 1 */
        };
        uint32_t at[2];
    };
    uint32_t writer; /* row + 1, or 0 */
    uint32_t n_reads;
};

struct unique {
    const struct columns *columns;
    const struct keys_options *options;
    struct witness witness;
    int32_t n_positions;
    int32_t n_operations; /* that count */
    int32_t n_answered;
    int32_t length;       /* of the order */
    uint32_t dropped; /* the value that rows have which do not count */
    uint32_t initial;
    uint32_t n_values;    /* with those two */
    struct value *values;
    uint32_t *positions; /* one more: first what happens there, then which block begins there */
    uint64_t *seen;      /* a bit a row */
    uint32_t *streams;   /* by row: 2 * value, + 1 where it reads */
};

/* Whether all operations are of one key. */
static bool is_lone(const struct columns *columns)
{
    for (int32_t i = 1; i < columns->n; i++)
        if (columns->key[i] != columns->key[0])
            return false;
    return columns->n > 0;
}

/* How many positions there are, or -1 where they are too many. */
static int32_t count_positions(const struct columns *columns)
{
    int32_t last = -1;
    for (int32_t i = 0; i < columns->n; i++) {
        int32_t later = columns->ret[i] > columns->inv[i] ? columns->ret[i] : columns->inv[i];
        last = later > last ? later : last;
    }
    return last / SPARSE > columns->n || last >= INT32_MAX - 2 ? -1 : last + 1;
}

/* What stands at a position: low bits of the time, whether it is a return, and 1. */
static uint32_t mark(int64_t time, uint32_t is_return)
{
    return (uint32_t)time << 2 | is_return << 1 | 1;
}

/* One or the other, where a branch would be guessed wrong as often as not. */
static inline uint32_t choose(uint32_t is_one, uint32_t one, uint32_t other)
{
    return other ^ ((one ^ other) & (0 - is_one));
}

/* Take up every row. Returns false where one is out of the ordinary. */
static bool take(struct unique *u)
{
    const struct columns *columns = u->columns;
    const int32_t read = u->options->read, write = u->options->write;
    const uint32_t n_values = (uint32_t)u->options->n_values, dropped = u->dropped;
    const uint32_t initial = u->initial, nowhere = (uint32_t)u->n_positions;
    int32_t before = -1, n_kept = 0, n_answered = 0;

    for (int32_t i = 0; i < columns->n; i++) {
        int32_t f = columns->f[i], type = columns->type[i], inv = columns->inv[i];
        uint32_t is_read = f == read, is_ok = type == COLUMNS_OK;
        uint32_t is_kept = is_ok | ((uint32_t)(type == COLUMNS_INFO) & (is_read ^ 1));
        uint32_t is_write = is_kept & (is_read ^ 1), ret = (uint32_t)columns->ret[i];
        uint32_t in = (uint32_t)columns->value_in[i], out = (uint32_t)columns->value_out[i];
        uint32_t value = choose(is_read, out, in);
        bool is_odd = is_write & ((uint32_t)(f != write) | (value == initial));
        is_odd |= is_kept & ((uint32_t)(inv <= before) | (value >= n_values));
        is_odd |= is_kept & ((in >= n_values) | (out + 1 > n_values));
        is_odd |= is_ok & ((int32_t)ret <= inv);
        if (is_odd)
            return false;
        value = choose(is_kept, value, dropped);
        struct value *seen = &u->values[value];
        if (choose(is_write, seen->writer, 0) != 0)
            return false;
        uint32_t late = choose(is_ok, ~ret, 0);
        u->positions[choose(is_kept, (uint32_t)inv, nowhere)] = mark(columns->inv_time[i], 0);
        u->positions[choose(is_ok, ret, nowhere)] = mark(columns->ret_time[i], 1);
        seen->late = late > seen->late ? late : seen->late;
        seen->hi = (uint32_t)inv + 1;
        seen->writer |= choose(is_write, (uint32_t)(i + 1), 0);
        seen->n_reads += is_write ^ 1;
        u->streams[i] = value << 1 | (is_write ^ 1);
        before = (int32_t)choose(is_kept, (uint32_t)inv, (uint32_t)before);
        n_kept += (int32_t)is_kept;
        n_answered += (int32_t)is_ok;
    }
    u->n_operations = n_kept;
    u->n_answered = n_answered;
    return true;
}

/*
 * Whether no two events share a position, and no call has the time of the return before it. Times
 * are compared by their low bits: what looks the same without being so is only judged elsewhere.
 * Leaves zeros.
 */
static bool is_in_order(struct unique *u)
{
    uint32_t before = 0, has_tie = 0;
    int32_t n_events = 0;
    for (int32_t position = 0; position < u->n_positions; position++) {
        uint32_t now = u->positions[position], is_event = now & 1;
        u->positions[position] = 0;
        has_tie |= (before >> 1) & (uint32_t)(now + 2 == before) & is_event;
        n_events += (int32_t)is_event;
        before = is_event ? now : before;
    }
    return !(has_tie & 1) && n_events == u->n_operations + u->n_answered;
}

/* Accuse what wrote a value, returned from it first and was invoked for it last: O(n). */
static void accuse_block(struct unique *u, uint32_t v, bool is_whole)
{
    const struct columns *columns = u->columns;
    int32_t writer = -1, first = -1, last = -1;
    for (int32_t i = 0; i < columns->n; i++) {
        if (u->streams[i] >> 1 != v)
            continue;
        writer = u->streams[i] & 1 ? writer : i;
        last = i;
        if (columns->type[i] == COLUMNS_OK && (first < 0 || columns->ret[i] < columns->ret[first]))
            first = i;
    }
    witness_add(&u->witness, writer);
    if (v != u->initial)
        witness_add(&u->witness, first);
    if (is_whole)
        witness_add(&u->witness, last);
}

static bool refuse(struct unique *u, enum keys_reason reason, uint32_t v, bool is_whole)
{
    u->witness.reason = reason;
    accuse_block(u, v, is_whole);
    return false;
}

/*
 * Put the block of each value that was read, or whose write returned, where it begins. Writes that
 * no read shows go to the end of the order. Returns whether each block is possible in itself.
 */
static bool place_values(struct unique *u)
{
    const int32_t *inv = u->columns->inv;
    uint32_t spare = (uint32_t)u->columns->n;
    for (uint32_t v = 0; v < u->n_values; v++) {
        struct value *value = &u->values[v];
        if (value->late == 0) {
            spare -= value->writer != 0;
            value->at[0] = spare;
            continue;
        }
        uint32_t least_ret = ~value->late, greatest_inv = value->hi - 1;
        if (v == u->initial)
            continue;
        if (value->writer == 0)
            return refuse(u, KEYS_PHANTOM, v, false);
        if (least_ret < (uint32_t)inv[value->writer - 1])
            return refuse(u, KEYS_INSIDE, v, false);
        u->positions[least_ret < greatest_inv ? least_ret : greatest_inv] = v + 1;
    }
    return true;
}

/* Close the gaps between the blocks. Returns how many there are. */
static int32_t gather_blocks(struct unique *u)
{
    int32_t n_blocks = 0;
    for (int32_t position = 0; position < u->n_positions; position++) {
        uint32_t block = u->positions[position];
        u->positions[n_blocks] = block;
        n_blocks += block != 0;
    }
    return n_blocks;
}

/* Give each block its place, unless a zone begins before that of another ends. */
static bool place_blocks(struct unique *u, int32_t n_blocks)
{
    struct value *initial = &u->values[u->initial];
    uint32_t forward = u->initial, place = initial->n_reads;
    uint32_t end = initial->late == 0 ? 0 : initial->hi;
    initial->at[1] = 0;
    for (int32_t b = 0; b < n_blocks; b++) {
        uint32_t v = u->positions[b] - 1;
        struct value *value = &u->values[v];
        uint32_t after = ~value->late + 1, hi = value->hi;
        if (after < end) {
            refuse(u, KEYS_CONFLICT, forward, true);
            return refuse(u, KEYS_CONFLICT, v, true);
        }
        forward = after < hi ? v : forward;
        end = after < hi ? hi : end;
        value->at[0] = place;
        value->at[1] = place + 1;
        place += 1 + value->n_reads;
    }
    u->values[u->dropped].at[1] = place;
    u->length = (int32_t)place;
    return true;
}

/* Put every row where its value stands: what wrote it, then its reads by invocation. */
static void place_rows(struct unique *u, int32_t *order)
{
    for (int32_t i = 0; i < u->columns->n; i++) {
        uint32_t *at = &u->values[u->streams[i] >> 1].at[u->streams[i] & 1];
        order[(*at)++] = i;
    }
}

/*
 * Whether an order is a linearization, seen from the definition and the columns alone: each row
 * that was answered stands once, each other at most once, each read finds its value, and none
 * stands after one that was invoked after it returned.
 */
static bool is_linearization(const struct unique *u, const int32_t *order)
{
    const struct columns *columns = u->columns;
    int32_t greatest_inv = -1, n_answered = 0;
    uint32_t state = (uint32_t)u->options->initial, is_flawed = 0;
    for (int32_t place = 0; place < u->length; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= columns->n)
            return false;
        uint64_t bit = UINT64_C(1) << (i % 64);
        uint32_t is_read = columns->f[i] == u->options->read, is_ok = columns->type[i] == COLUMNS_OK;
        uint32_t value = choose(is_read, (uint32_t)columns->value_out[i],
                                (uint32_t)columns->value_in[i]);
        is_flawed |= (u->seen[i / 64] & bit) != 0;
        is_flawed |= is_read & (value != state);
        is_flawed |= is_ok & (uint32_t)(columns->ret[i] < greatest_inv);
        is_flawed |= (is_ok ^ 1) & ((uint32_t)(columns->type[i] == COLUMNS_FAIL) | is_read);
        u->seen[i / 64] |= bit;
        state = value;
        greatest_inv = columns->inv[i] > greatest_inv ? columns->inv[i] : greatest_inv;
        n_answered += (int32_t)is_ok;
    }
    return !is_flawed && n_answered == u->n_answered;
}

/* From memory, all zeros, to the verdict; KEYS_UNDECIDED where it does not apply. */
static enum keys_verdict judge(struct unique *u, int32_t *order)
{
    if (!take(u) || !is_in_order(u))
        return KEYS_UNDECIDED;
    if (!place_values(u) || !place_blocks(u, gather_blocks(u)))
        return KEYS_INVALID;
    place_rows(u, order);
    return is_linearization(u, order) ? KEYS_VALID : KEYS_FLAWED;
}

static void publish(const struct unique *u, struct keys_results *results, int32_t key,
                    enum keys_verdict verdict, uint64_t bytes)
{
    for (int32_t other = 0; other < u->options->n_keys; other++)
        results->verdict[other] = KEYS_VALID;
    results->verdict[key] = (int8_t)verdict;
    results->engine[key] = u->n_operations > 0 ? KEYS_ZONES : KEYS_NONE;
    results->reason[key] = (int8_t)u->witness.reason;
    results->n_operations[key] = u->n_operations;
    results->peak_bytes[key] = bytes;
    results->n_witness[key] = u->witness.n_operations;
    memcpy(results->witness + KEYS_WITNESS_MAX * key, u->witness.operations,
           sizeof(int32_t) * (size_t)u->witness.n_operations);
    results->order_length[key] = u->length;
}

bool unique_judge(struct keys *keys)
{
    const struct columns *columns = keys->columns;
    const struct keys_options *options = &keys->options;
    if (options->search_only || options->texts != NULL || !is_lone(columns) ||
        columns->key[0] < 0 || columns->key[0] >= options->n_keys)
        return false;
    size_t n = (size_t)columns->n, n_values = (size_t)options->n_values + 2;
    int32_t n_positions = count_positions(columns);
    if (n_positions < 0 || n_values > 2 * n + VALUES_MIN)
        return false;
    size_t n_seen = n / 64 + 1;
    size_t bytes = sizeof(struct value) * n_values + sizeof(uint64_t) * n_seen +
                   sizeof(uint32_t) * ((size_t)n_positions + 1 + n);
    struct unique u = {
        .columns = columns, .options = options, .n_positions = n_positions,
        .dropped = (uint32_t)options->n_values,
        .initial = (uint32_t)(options->initial < 0 ? options->n_values + 1 : options->initial),
        .n_values = (uint32_t)n_values};
    void *memory = bytes > options->max_bytes ? NULL : pages_zeroed(bytes), *block = memory;
    if (memory == NULL) {
        publish(&u, &keys->results, columns->key[0], KEYS_MEMORY, 0);
        return true;
    }
    u.values = pages_carve(&block, n_values, sizeof *u.values);
    u.seen = pages_carve(&block, n_seen, sizeof *u.seen);
    u.positions = pages_carve(&block, (size_t)n_positions + 1, sizeof *u.positions);
    u.streams = pages_carve(&block, n, sizeof *u.streams);
    enum keys_verdict verdict = judge(&u, keys->results.order);
    pages_release(memory, bytes);
    if (verdict == KEYS_UNDECIDED)
        return false;
    publish(&u, &keys->results, columns->key[0], verdict, bytes);
    return true;
}
