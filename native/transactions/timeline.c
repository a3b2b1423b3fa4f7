/*
 * timeline.c: who came before whom by process and by the clock (see engine.h).
 *
 * A barrier is an auxiliary vertex: the completions up to a moment lead to it, it leads to the next
 * barrier, and to the invocations after that moment and before the next completion. So a path by
 * barriers from a to b exists exactly when a completed before b was invoked, with at most 3 edges
 * an operation. Of a process each operation leads to the next one.
 */
#include <string.h>

#include "engine.h"

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)
#define MOVES_FACTOR 64 /* moves an operation, on average, that are less than digits cost */

/* Operations with the number that they are sorted by. */
struct moment {
    uint64_t at;
    int32_t operation;
};

/* Sort what is nearly sorted, by moving each to its place: whether it took few moves. */
static bool insert_moments(struct moment *moments, int64_t n)
{
    int64_t moves = 0;
    for (int64_t i = 1; i < n; i++) {
        struct moment moved = moments[i];
        int64_t at = i;
        for (; at > 0 && moments[at - 1].at > moved.at; at--)
            moments[at] = moments[at - 1];
        moments[at] = moved;
        moves += i - at;
        if (moves > MOVES_FACTOR * n)
            return false;
    }
    return true;
}

/* Sort digit by digit, without those digits that are equal in all. Returns where the result is:
 * `moments` or `scratch`. */
static struct moment *distribute_moments(struct moment *moments, struct moment *scratch, int64_t n)
{
    uint64_t differ = 0;
    for (int64_t i = 1; i < n; i++)
        differ |= moments[i].at ^ moments[0].at;
    for (int shift = 0; shift < 64; shift += DIGIT_BITS) {
        int64_t place[DIGITS + 1] = {0};
        if ((differ >> shift & (DIGITS - 1)) == 0)
            continue;
        for (int64_t i = 0; i < n; i++)
            place[(moments[i].at >> shift & (DIGITS - 1)) + 1]++;
        for (int digit = 0; digit < DIGITS; digit++)
            place[digit + 1] += place[digit];
        for (int64_t i = 0; i < n; i++)
            scratch[place[moments[i].at >> shift & (DIGITS - 1)]++] = moments[i];
        struct moment *swapped = moments;
        moments = scratch;
        scratch = swapped;
    }
    return moments;
}

/* Sort, stable, `moments` with as much scratch behind; where the result is. */
static struct moment *sort_moments(struct moment *moments, int64_t n)
{
    return insert_moments(moments, n) ? moments : distribute_moments(moments, moments + n, n);
}

/* Signed times in the order of unsigned numbers. */
static uint64_t ranked(int64_t time)
{
    return (uint64_t)time ^ (uint64_t)1 << 63;
}

/* A completion never comes before its own invocation, whatever the clock said. */
static int64_t completion_time(const struct columns *columns, int32_t i)
{
    return columns->ret_time[i] < columns->inv_time[i] ? columns->inv_time[i]
                                                       : columns->ret_time[i];
}

/* An edge of time into `next`, or onwards from an auxiliary vertex. */
static int32_t step(struct engine *engine, int64_t from, int64_t to, enum graph_kind kind)
{
    return engine_depend(engine, (int32_t)from, (int32_t)to, kind, GRAPH_NO_KEY);
}

/* A number below `n` for the process of each operation. */
static void number_processes(const struct engine *engine, struct moment *room, int32_t *number)
{
    int64_t n = engine->operations;
    for (int32_t i = 0; i < n; i++)
        room[i] = (struct moment){(uint32_t)engine->columns->process[i], i};
    const struct moment *sorted = distribute_moments(room, room + n, n);
    int32_t next = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && sorted[i].at != sorted[i - 1].at)
            next++;
        number[sorted[i].operation] = next;
    }
}

/* Operations of each process in order: ok ones lead on, an open one only follows. `before` has a
 * place for each number. */
static int32_t chain_processes(struct engine *engine, const int32_t *number, int32_t *before)
{
    for (int32_t i = 0; i < engine->operations; i++) {
        int32_t last = before[number[i]] - 1;
        if (is_failed(engine, i))
            continue;
        if (last >= 0 && step(engine, last, i, GRAPH_PROCESS) != 0)
            return -1;
        if (is_ok(engine, i))
            before[number[i]] = i + 1;
    }
    return 0;
}

int32_t timeline_process(struct engine *engine)
{
    int64_t n = engine->operations;
    const int32_t *number = engine->columns->process;
    struct moment *room = NULL;
    int32_t *numbers = NULL;
    int32_t *before = engine_zeros(engine, n, sizeof *before);
    bool is_dense = true;
    for (int64_t i = 0; i < n; i++)
        is_dense = is_dense && number[i] >= 0 && number[i] < n;
    int32_t status = before == NULL ? -1 : 0;
    if (status == 0 && !is_dense) {
        room = engine_zeros(engine, 2 * n, sizeof *room);
        numbers = engine_zeros(engine, n, sizeof *numbers);
        status = room == NULL || numbers == NULL ? -1 : 0;
        if (status == 0)
            number_processes(engine, room, numbers);
        number = numbers;
    }
    if (status == 0)
        status = chain_processes(engine, number, before);
    engine_release(engine, before, n, sizeof *before);
    engine_release(engine, room, 2 * n, sizeof *room);
    engine_release(engine, numbers, n, sizeof *numbers);
    return status;
}

/* The invocations of those that may count, in order of time; `all` has room for two of each. */
static struct moment *sorted_invocations(const struct engine *engine, struct moment *all,
                                         int64_t *n)
{
    *n = 0;
    for (int32_t i = 0; i < engine->operations; i++)
        if (!is_failed(engine, i))
            all[(*n)++] = (struct moment){ranked(engine->columns->inv_time[i]), i};
    return sort_moments(all, *n);
}

/* Lead an invocation, and all later ones, behind the completions before it. */
static int32_t raise_barrier(struct engine *engine, uint64_t time, int64_t *done, int64_t *barrier)
{
    const uint32_t *completed = engine->completed;
    int64_t next = NOBODY;
    for (; *done < engine->completed_n; ++*done) {
        int32_t operation = (int32_t)completed[*done];
        if (ranked(completion_time(engine->columns, operation)) >= time)
            break;
        if (next == NOBODY) {
            next = engine->vertices++;
            if (*barrier != NOBODY && step(engine, *barrier, next, GRAPH_LINK) != 0)
                return -1;
            *barrier = next;
        }
        if (step(engine, operation, next, GRAPH_REALTIME) != 0)
            return -1;
    }
    return 0;
}

int32_t timeline_realtime(struct engine *engine)
{
    int64_t n = engine->operations, invoked_n = 0, done = 0;
    int64_t barrier = NOBODY;
    struct moment *room = engine_zeros(engine, 2 * n, sizeof *room);
    int32_t status = room == NULL || engine->vertices + n > GRAPH_VERTICES_MAX ? -1 : 0;
    const struct moment *invoked =
        status == 0 ? sorted_invocations(engine, room, &invoked_n) : NULL;
    for (int64_t i = 0; status == 0 && i < invoked_n; i++) {
        status = raise_barrier(engine, invoked[i].at, &done, &barrier);
        if (status == 0 && barrier != NOBODY)
            status = step(engine, barrier, invoked[i].operation, GRAPH_LINK);
    }
    engine_release(engine, room, 2 * n, sizeof *room);
    return status;
}

int32_t timeline_complete(struct engine *engine)
{
    int64_t n = engine->operations, ok_n = 0;
    struct moment *all = engine_zeros(engine, 2 * n, sizeof *all);
    engine->completed = engine_zeros(engine, n, sizeof *engine->completed);
    if (all == NULL || engine->completed == NULL) {
        engine_release(engine, all, 2 * n, sizeof *all);
        return -1;
    }
    for (int32_t i = 0; i < n; i++)
        if (is_ok(engine, i))
            all[ok_n++] = (struct moment){ranked(completion_time(engine->columns, i)), i};
    const struct moment *sorted = sort_moments(all, ok_n);
    for (int64_t i = 0; i < ok_n; i++)
        engine->completed[i] = (uint32_t)sorted[i].operation;
    engine->completed_n = ok_n;
    engine_release(engine, all, 2 * n, sizeof *all);
    return 0;
}
