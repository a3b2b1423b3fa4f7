/*
 * stack.c: stacks, last in, first out, judged by peeling.
 *
 * An item whose put and take overlap stands aside: the two can stand side by side. In each
 * connected part of what is surely in, some item must lie at the bottom: its put began before the
 * part did, its take ended after it. Take it away, and repeat with the parts of what remains. That
 * an item at the bottom must exist: in any linearization the stack is not empty from the begin of
 * the part to its end, and what lies at its bottom was put in before and is taken after. That any
 * will do: put in just before the part and taken just after, the others nest inside.
 *
 * Parts are peeled from left to right, so their begins never decrease: an item that can be a bottom
 * is added once (its put had begun), and nothing to the left remains.
 *
 * Source of the idea: LiMo (Abdulla and others, PLDI 2025), which is quadratic.
 */
#include <string.h>

#include "deadlines.h"

/* A part: from a position to another, and what was peeled off it. */
struct peeled {
    int32_t item, start, end;
};

struct peel {
    int32_t *sum;      /* a tree over positions: begins minus ends of covers */
    int32_t *least;    /* the least sum of a beginning of what is below a node */
    uint64_t *bottoms; /* a tree over in_at: out_at and item of candidates, the greatest */
    int32_t size;      /* leaves, a power of 2 */
    struct peeled *peeled;
    int32_t n_peeled;
};

static void peel_change(struct peel *peel, int32_t position, int32_t by)
{
    int32_t node = peel->size + position;
    peel->sum[node] += by;
    peel->least[node] += by;
    for (node /= 2; node > 0; node /= 2) {
        int32_t left = peel->least[2 * node];
        int32_t right = peel->sum[2 * node] + peel->least[2 * node + 1];
        peel->sum[node] += by;
        peel->least[node] = left < right ? left : right;
    }
}

/* The end of the part that begins at a position, where nothing to its left remains. */
static int32_t peel_end(const struct peel *peel, int32_t start)
{
    int32_t node = peel->size + start, depth = peel->sum[node];
    for (;;) {
        if (node % 2 == 0) {
            if (depth + peel->least[node + 1] <= 0)
                break;
            depth += peel->sum[node + 1];
        }
        node /= 2;
    }
    for (node++; node < peel->size;) {
        node *= 2;
        if (depth + peel->least[node] > 0) {
            depth += peel->sum[node];
            node++;
        }
    }
    return node - peel->size;
}

static void peel_set_bottom(struct peel *peel, int32_t position, uint64_t value)
{
    int32_t node = peel->size + position;
    peel->bottoms[node] = value;
    for (node /= 2; node > 0; node /= 2) {
        uint64_t left = peel->bottoms[2 * node], right = peel->bottoms[2 * node + 1];
        uint64_t greatest = left > right ? left : right;
        if (peel->bottoms[node] == greatest)
            break;
        peel->bottoms[node] = greatest;
    }
}

/* The greatest candidate from position start to end, the end excluded; 0 without any. */
static uint64_t peel_bottom(const struct peel *peel, int32_t start, int32_t end)
{
    uint64_t best = 0;
    for (start += peel->size, end += peel->size; start < end; start /= 2, end /= 2) {
        if (start % 2 == 1 && peel->bottoms[start] > best)
            best = peel->bottoms[start];
        start += start % 2;
        if (end % 2 == 1 && peel->bottoms[end - 1] > best)
            best = peel->bottoms[end - 1];
    }
    return best;
}

static bool peel_prepare(struct box *box, struct peel *peel)
{
    int32_t n = box->problem->n_positions;
    for (peel->size = 1; peel->size <= n; peel->size *= 2)
        ;
    if (peel->sum == NULL) {
        peel->sum = box_allocate(box, 2 * (int64_t)peel->size, sizeof(int32_t));
        peel->least = box_allocate(box, 2 * (int64_t)peel->size, sizeof(int32_t));
        peel->bottoms = box_allocate(box, 2 * (int64_t)peel->size, sizeof(uint64_t));
        peel->peeled = box_allocate(box, box->n_items, sizeof(struct peeled));
    }
    if (box->is_out_of_memory)
        return false;
    memset(peel->sum, 0, sizeof(int32_t) * 2 * (size_t)peel->size);
    memset(peel->bottoms, 0, sizeof(uint64_t) * 2 * (size_t)peel->size);
    peel->n_peeled = 0;
    for (int32_t number = 0; number < box->n_items; number++) {
        const struct item *item = &box->items[number];
        if (!is_cover(item))
            continue;
        peel->sum[peel->size + item->in_at]++;
        peel->sum[peel->size + (item->in_until == NEVER ? n : item->in_until)]--;
    }
    memcpy(peel->least + peel->size, peel->sum + peel->size, sizeof(int32_t) * (size_t)peel->size);
    for (int32_t node = peel->size - 1; node > 0; node--) {
        int32_t left = peel->least[2 * node];
        int32_t right = peel->sum[2 * node] + peel->least[2 * node + 1];
        peel->sum[node] = peel->sum[2 * node] + peel->sum[2 * node + 1];
        peel->least[node] = left < right ? left : right;
    }
    return true;
}

/* What remains of a part that has no bottom. */
static int32_t no_bottom(struct box *box, const struct peel *peel, int32_t start, int32_t end)
{
    int32_t last = NOTHING;
    int8_t *is_gone = box_allocate(box, box->n_items, sizeof(int8_t));
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    for (int32_t i = 0; i < peel->n_peeled; i++)
        is_gone[peel->peeled[i].item] = 1;
    for (int32_t position = start; position < end && position < box->problem->n_positions;
         position++) {
        int32_t number = box->events[position] - 1;
        const struct item *item = &box->items[number < 0 ? 0 : number];
        if (number < 0 || item->in_at != position || !is_cover(item) || is_gone[number])
            continue;
        box_name(box, item->put);
        if (item->out_at == NEVER)
            continue;
        if (last != NOTHING && item->out_at < box->items[last].out_at) {
            box_name(box, item->take);
            continue;
        }
        if (last != NOTHING)
            box_name(box, box->items[last].take);
        last = number;
    }
    box_name_left(box, NEVER);
    if (last != NOTHING)
        box_name(box, box->items[last].take);
    return box_invalid(box, CONTAINERS_BOTTOM);
}

static int32_t peel_all(struct box *box, struct peel *peel)
{
    int32_t n = box->problem->n_positions, asked = 0, start = 0;
    if (!peel_prepare(box, peel))
        return CONTAINERS_MEMORY;
    while (start < n) {
        const struct item *first = box_item_at(box, start);
        if (first == NULL || first->in_at != start || peel->sum[peel->size + start] == 0) {
            start++;
            continue;
        }
        int32_t end = peel_end(peel, start);
        for (; asked < start; asked++) {
            int32_t who = box->events[asked] - 1;
            const struct item *item = &box->items[who < 0 ? 0 : who];
            if (who >= 0 && item->asked == asked && is_cover(item))
                peel_set_bottom(peel, item->in_at, (uint64_t)item->out_at << 32 | (uint32_t)who);
        }
        uint64_t best = peel_bottom(peel, start, end);
        if (best >> 32 < (uint64_t)end)
            return no_bottom(box, peel, start, end);
        int32_t bottom = (int32_t)(uint32_t)best;
        const struct item *item = &box->items[bottom];
        peel_set_bottom(peel, item->in_at, 0);
        peel_change(peel, item->in_at, -1);
        peel_change(peel, item->in_until == NEVER ? n : item->in_until, 1);
        peel->peeled[peel->n_peeled++] = (struct peeled){bottom, start, end};
    }
    return CONTAINERS_VALID;
}

/* In a stretch: takes from the inside out, what stands aside, free takes; then puts, outside in. */
static bool order_stack(struct box *box, const struct peel *peel)
{
    int32_t n = box->problem->n_positions, place = 0;
    int32_t *puts = box_allocate(box, (int64_t)n + 1, sizeof(int32_t));
    int32_t *takes = box_allocate(box, (int64_t)n + 1, sizeof(int32_t));
    int32_t *next_put = box_allocate(box, peel->n_peeled, sizeof(int32_t));
    int32_t *next_take = box_allocate(box, peel->n_peeled, sizeof(int32_t));
    if (box->is_out_of_memory)
        return false;
    for (int32_t i = 0; i < peel->n_peeled; i++) {
        int32_t j = peel->n_peeled - 1 - i;
        next_take[i] = takes[peel->peeled[i].end];
        takes[peel->peeled[i].end] = i + 1;
        next_put[j] = puts[peel->peeled[j].start];
        puts[peel->peeled[j].start] = j + 1;
    }
    for (int32_t position = 0; position <= n; position++) {
        for (int32_t i = puts[position] - 1; i >= 0; i = next_put[i] - 1)
            box_emit(box, box->items[peel->peeled[i].item].put);
        if (position == n)
            break; /* what is taken now crashed, and need not be taken */
        for (int32_t i = takes[position] - 1; i >= 0; i = next_take[i] - 1)
            box_emit(box, box->items[peel->peeled[i].item].take);
        const struct item *item = box_item_at(box, position);
        if (item != NULL && !is_empty(item) && !is_cover(item) && item->in_until == position) {
            box_emit(box, item->put);
            box_emit(box, item->take);
        }
        place = empty_emit(box, place, position);
    }
    return true;
}

/* With items as they are. */
static int32_t try_stack(struct box *box, struct peel *peel)
{
    int32_t verdict = empty_place(box);
    return verdict == CONTAINERS_VALID ? peel_all(box, peel) : verdict;
}

int32_t stack_judge(struct box *box)
{
    struct peel peel = {0};
    bool is_open = box->n_spare > 0 && box->n_left > 0;
    if (is_open) {
        int32_t verdict = deadlines_check(box, NULL, 0);
        if (verdict != CONTAINERS_VALID)
            return verdict;
        box_match_spares(box);
    }
    int32_t verdict = try_stack(box, &peel);
    if (verdict == CONTAINERS_VALID)
        return order_stack(box, &peel) ? CONTAINERS_VALID : CONTAINERS_MEMORY;
    if (verdict == CONTAINERS_MEMORY || !is_open)
        return verdict;
    deadlines_relax(box);
    verdict = try_stack(box, &peel);
    return verdict == CONTAINERS_VALID ? CONTAINERS_UNDECIDED : verdict;
}
