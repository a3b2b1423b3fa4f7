/*
 * replay.c: see replay.h.
 *
 * A read of the beginning of the longest list of its key takes one comparison of numbers, as it is
 * known of how many elements the key agrees with that list; any other read is compared in full.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "sound.h"

struct state {
    const struct columns *columns;
    const struct micro *micro;
    uint8_t *seen;     /* row -> whether it was replayed */
    int64_t *start;    /* key -> where its elements begin; keys_n + 1 */
    int32_t *length;   /* key -> how many it holds */
    int32_t *agreed;   /* key -> how many of them begin its longest list */
    int32_t *elements; /* of lists: ids; of registers one for each key */
};

/* Whether each transaction stands in the order as often as its type allows; marks them. */
static int has_members(const struct columns *columns, const int32_t *order, int64_t order_n,
                       uint8_t *seen, int32_t *status, int64_t *place)
{
    for (int64_t at = 0; at < order_n; at++) {
        int32_t row = order[at];
        *place = row;
        *status = REPLAY_STRANGER;
        if (row < 0 || row >= columns->n || seen[row])
            return 0;
        *status = REPLAY_FAILED;
        if (columns->type[row] == COLUMNS_FAIL)
            return 0;
        seen[row] = 1;
    }
    *status = REPLAY_MISSING;
    for (int32_t row = 0; row < columns->n; row++) {
        *place = row;
        if (columns->type[row] == COLUMNS_OK && !seen[row])
            return 0;
    }
    return 1;
}

/* Room for all that the transactions of the order write. Returns 0, or -1 without memory. */
static int reserve(struct state *state, int is_append)
{
    const struct micro *micro = state->micro;
    size_t keys = (size_t)micro->keys_n;
    state->start = calloc(keys + 1, sizeof(int64_t));
    state->length = calloc(keys + 1, sizeof(int32_t));
    state->agreed = calloc(keys + 1, sizeof(int32_t));
    if (state->start == NULL || state->length == NULL || state->agreed == NULL)
        return -1;
    for (int32_t row = 0; row < state->columns->n; row++)
        for (int64_t at = micro->first[row]; state->seen[row] && at < micro->first[row + 1]; at++)
            state->start[micro->key[at] + 1] += is_append && micro->kind[at] == MICRO_APPEND;
    for (size_t key = 0; key < keys; key++)
        state->start[key + 1] += state->start[key] + !is_append;
    state->elements = calloc((size_t)state->start[keys] + 1, sizeof(int32_t));
    return state->elements == NULL ? -1 : 0;
}

static void append(struct state *state, int32_t key, int32_t value)
{
    const struct micro *micro = state->micro;
    int32_t length = state->length[key]++;
    state->elements[state->start[key] + length] = value;
    if (state->agreed[key] == length && micro->longest[key] != MICRO_NONE &&
        length < micro->longest_length[key] && micro->items[micro->longest[key] + length] == value)
        state->agreed[key]++;
}

static int is_list(const struct state *state, int64_t at)
{
    const struct micro *micro = state->micro;
    int32_t key = micro->key[at], length = state->length[key];
    if (micro->list[at] == MICRO_NONE) /* nil is the empty list */
        return micro->value[at] == 0 && length == 0;
    if (micro->length[at] != length)
        return 0;
    if (micro->list[at] == micro->longest[key] && length <= state->agreed[key])
        return 1;
    return length == 0 || memcmp(state->elements + state->start[key], micro->items + micro->list[at],
                                 sizeof(int32_t) * (size_t)length) == 0;
}

/* One transaction on the state. */
static int32_t run(struct state *state, int is_append, int32_t row, int64_t *place)
{
    const struct micro *micro = state->micro;
    int is_ok = state->columns->type[row] == COLUMNS_OK;
    for (int64_t at = micro->first[row]; at < micro->first[row + 1]; at++) {
        int32_t key = micro->key[at];
        *place = at;
        if (micro->kind[at] == MICRO_READ) {
            if (is_ok && !(is_append ? is_list(state, at)
                                     : micro->list[at] == MICRO_NONE &&
                                           micro->value[at] == state->elements[state->start[key]]))
                return REPLAY_ANSWER;
        } else if (micro->kind[at] != (is_append ? MICRO_APPEND : MICRO_WRITE)) {
            return REPLAY_MALFORMED;
        } else if (is_append) {
            append(state, key, micro->value[at]);
        } else {
            state->elements[state->start[key]] = micro->value[at];
        }
    }
    return REPLAY_HOLDS;
}

/* Seen from the end: whether an answer stands there that came before this one began. */
static int32_t keeps_time(const struct columns *columns, const int32_t *order, int64_t order_n,
                          int64_t *place)
{
    int64_t least = INT64_MAX;
    for (int64_t at = order_n - 1; at >= 0; at--) {
        int32_t row = order[at];
        *place = row;
        if (least < columns->inv_time[row])
            return REPLAY_REALTIME;
        if (columns->type[row] == COLUMNS_OK && columns->ret_time[row] < least)
            least = columns->ret_time[row];
    }
    return REPLAY_HOLDS;
}

/* Where a process stands in a table of 2^k places: its own, or the next free one. */
static size_t place_of(const int64_t *processes, size_t mask, int32_t process)
{
    size_t place = ((uint32_t)process * UINT32_C(2654435761)) & mask;
    while (processes[place] != INT64_MIN && processes[place] != process)
        place = (place + 1) & mask;
    return place;
}

static int32_t keeps_processes(const struct columns *columns, const int32_t *order,
                               int64_t order_n, int64_t *place)
{
    size_t size = 16;
    while (size < 2 * (size_t)columns->n)
        size *= 2;
    int64_t *processes = malloc(size * sizeof(int64_t));
    int32_t *greatest = malloc(size * sizeof(int32_t)); /* the latest row of it so far */
    int32_t status = processes == NULL || greatest == NULL ? REPLAY_MEMORY : REPLAY_HOLDS;
    for (size_t i = 0; status == REPLAY_HOLDS && i < size; i++)
        processes[i] = INT64_MIN;
    for (int64_t at = 0; status == REPLAY_HOLDS && at < order_n; at++) {
        int32_t row = order[at];
        size_t here = place_of(processes, size - 1, columns->process[row]);
        int is_first = processes[here] == INT64_MIN;
        *place = row;
        if (!is_first && greatest[here] > row && columns->type[row] == COLUMNS_OK)
            status = REPLAY_PROCESS;
        if (is_first || greatest[here] < row)
            greatest[here] = row;
        processes[here] = columns->process[row];
    }
    free(processes);
    free(greatest);
    return status;
}

int32_t replay_order(const struct columns *columns, const struct micro *micro,
                     const struct replay_options *options, const int32_t *order, int64_t order_n,
                     int64_t *place)
{
    struct state state = {.columns = columns, .micro = micro};
    int32_t status = REPLAY_MEMORY;
    *place = 0;
    if (!sound_is_whole(columns, micro))
        return REPLAY_MALFORMED;
    state.seen = calloc((size_t)columns->n + 1, 1);
    if (state.seen == NULL || !has_members(columns, order, order_n, state.seen, &status, place) ||
        (status = REPLAY_MEMORY, reserve(&state, options->is_append)) != 0)
        goto done;
    status = REPLAY_HOLDS;
    for (int64_t at = 0; status == REPLAY_HOLDS && at < order_n; at++)
        status = run(&state, options->is_append, order[at], place);
    if (status == REPLAY_HOLDS && options->process)
        status = keeps_processes(columns, order, order_n, place);
    if (status == REPLAY_HOLDS && options->realtime)
        status = keeps_time(columns, order, order_n, place);
done:
    free(state.seen);
    free(state.start);
    free(state.length);
    free(state.agreed);
    free(state.elements);
    return status;
}
