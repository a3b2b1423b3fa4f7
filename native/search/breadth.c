/*
 * breadth.c: the breadth-first search over antichains (Lowe 2017, with dominance), in rounds from
 * return to return.
 *
 * Between two returns it holds the configurations that survived the first, only minimal counts for
 * each state and mask. A configuration weighs as much as it used crashed operations; the lightest
 * is expanded first, so that what dominates comes before what it dominates, and a round that keeps
 * but `width` survivors keeps the lightest. Better than depth first on invalid histories, worse on
 * long valid ones. A trail of steps remembers how each configuration was reached; those that lead
 * to no survivor are dropped when they are the greater part.
 */
#include <string.h>

#include "engines.h"

#define NO_STEP UINT32_MAX
#ifndef STEPS_KEPT /* tests set it, so that small histories drop steps */
#define STEPS_KEPT (UINT32_C(1) << 16)
#endif

struct step {
    uint32_t before; /* the step before it, or NO_STEP */
    int32_t operation;
};

/* How a configuration was reached, what it used, and the next one of its queue. */
struct entry {
    int32_t origin; /* rule (h) */
    uint32_t last_step;
    uint32_t weight;
    uint32_t next; /* 1 + its number, or 0 */
};

struct queue {
    uint32_t first; /* 1 + its number, or 0 */
    uint32_t last;
};

static int growing_push(struct growing *growing, const void *item)
{
    void *added = growing_add(growing);
    if (added == NULL)
        return -1;
    memcpy(added, item, (size_t)growing->size);
    return 0;
}

int breadth_open(struct breadth *breadth, struct problem *problem)
{
    struct account *account = problem->account;
    breadth->problem = problem;
    breadth->memo = problem_memo(problem);
    breadth->entries = (struct growing){.account = account, .size = sizeof(struct entry)};
    breadth->survivor_entries = breadth->entries;
    breadth->queues = (struct growing){.account = account, .size = sizeof(struct queue)};
    breadth->steps = (struct growing){.account = account, .size = sizeof(struct step)};
    breadth->survivors =
        (struct growing){.account = account, .size = sizeof(uint64_t) * problem->width};
    breadth->final_step = NO_STEP;
    breadth->steps_limit = STEPS_KEPT;
    breadth->width = UINT32_MAX;
    breadth->child = problem_allocate(problem, problem->width, sizeof(uint64_t));
    breadth->parent = problem_allocate(problem, problem->width, sizeof(uint64_t));
    breadth->absorbed = problem_allocate(problem, problem->n_slots, sizeof(int32_t));
    if (breadth->child == NULL || breadth->parent == NULL || breadth->absorbed == NULL)
        return SEARCH_NO_MEMORY;
    return cursor_open(problem, &breadth->cursor);
}

void breadth_restart(struct breadth *breadth, uint32_t width)
{
    cursor_seek(breadth->problem, &breadth->cursor, 0);
    memo_clear(&breadth->memo);
    breadth->entries.count = breadth->steps.count = breadth->queues.count = 0;
    breadth->survivors.count = breadth->survivor_entries.count = 0;
    breadth->queue = breadth->position = breadth->lightest = 0;
    breadth->steps_limit = STEPS_KEPT;
    breadth->final_step = NO_STEP;
    breadth->width = width;
    breadth->has_dropped = false;
    breadth->has_begun = false;
}

static struct entry *breadth_entry(const struct growing *entries, uint32_t number)
{
    return (struct entry *)entries->items + number;
}

/* Keep only the steps that lead to a survivor. Returns 0, or -1 past the limit of memory. */
static int breadth_collect(struct breadth *breadth)
{
    struct account *account = breadth->problem->account;
    struct step *steps = breadth->steps.items;
    uint32_t kept = 0;
    /* A step that is kept is marked by the complement of its operation. */
    for (uint32_t i = 0; i < breadth->survivor_entries.count; i++) {
        uint32_t at = breadth_entry(&breadth->survivor_entries, i)->last_step;
        for (; at != NO_STEP && steps[at].operation >= 0; at = steps[at].before)
            steps[at].operation = ~steps[at].operation;
    }
    uint64_t moved_bytes = sizeof(uint32_t) * (uint64_t)breadth->steps.count;
    uint32_t *moved = account_resize(account, NULL, 0, moved_bytes);
    if (moved == NULL)
        return -1;
    for (uint32_t at = 0; at < breadth->steps.count; at++) {
        if (steps[at].operation >= 0)
            continue;
        uint32_t before = steps[at].before;
        moved[at] = kept;
        steps[kept++] = (struct step){before == NO_STEP ? NO_STEP : moved[before],
                                      ~steps[at].operation};
    }
    for (uint32_t i = 0; i < breadth->survivor_entries.count; i++) {
        struct entry *entry = breadth_entry(&breadth->survivor_entries, i);
        entry->last_step = entry->last_step == NO_STEP ? NO_STEP : moved[entry->last_step];
    }
    account_free(account, moved, moved_bytes);
    breadth->final_step = breadth_entry(&breadth->survivor_entries, 0)->last_step;
    breadth->steps.count = kept;
    breadth->steps_limit = 2 * kept + STEPS_KEPT;
    return 0;
}

static int breadth_step(struct breadth *breadth, uint32_t *last, int32_t operation)
{
    struct step step = {*last, operation};
    *last = breadth->steps.count;
    return growing_push(&breadth->steps, &step);
}

/* Put a configuration at the end of the queue of its weight. */
static int breadth_enqueue(struct breadth *breadth, uint32_t number)
{
    struct queue none = {0, 0};
    uint32_t weight = breadth_entry(&breadth->entries, number)->weight - breadth->lightest;
    while (breadth->queues.count <= weight)
        if (growing_push(&breadth->queues, &none) != 0)
            return -1;
    struct queue *queue = (struct queue *)breadth->queues.items + weight;
    if (queue->first == 0)
        queue->first = number + 1;
    else
        breadth_entry(&breadth->entries, queue->last - 1)->next = number + 1;
    queue->last = number + 1;
    if (weight < breadth->queue)
        breadth->queue = weight;
    return 0;
}

/* Absorb, and add to the configurations at this return unless dominated. */
static enum search_status breadth_enter(struct breadth *breadth, uint64_t *block,
                                        struct entry entry)
{
    int32_t n_absorbed =
        cursor_absorb(breadth->problem, &breadth->cursor, block, breadth->absorbed);
    if (n_absorbed > 0)
        entry.origin = ORIGIN_NONE;
    enum memo_answer answer = memo_add(&breadth->memo, block, false);
    if (answer == MEMO_SEEN)
        return SEARCH_PAUSED;
    if (answer == MEMO_FULL)
        return SEARCH_MEMORY;
    for (int32_t i = 0; i < n_absorbed; i++)
        if (breadth_step(breadth, &entry.last_step, breadth->absorbed[i]) != 0)
            return SEARCH_MEMORY;
    entry.next = 0;
    if (growing_push(&breadth->entries, &entry) != 0 ||
        breadth_enqueue(breadth, breadth->entries.count - 1) != 0)
        return SEARCH_MEMORY;
    breadth->final_step = entry.last_step;
    return SEARCH_PAUSED;
}

static enum search_status breadth_survive(struct breadth *breadth, struct entry entry)
{
    entry.weight -= cursor_pass_return(breadth->problem, &breadth->cursor, breadth->parent);
    if (growing_push(&breadth->survivors, breadth->parent) != 0 ||
        growing_push(&breadth->survivor_entries, &entry) != 0)
        return SEARCH_MEMORY;
    return SEARCH_PAUSED;
}

/* All configurations at this return are expanded: go on with the survivors. */
static enum search_status breadth_next_return(struct breadth *breadth)
{
    const struct problem *problem = breadth->problem;
    if (breadth->survivors.count == 0)
        return SEARCH_INVALID;
    cursor_advance(problem, &breadth->cursor);
    if (breadth->cursor.at == problem->n_returns) {
        breadth->final_step = breadth_entry(&breadth->survivor_entries, 0)->last_step;
        return SEARCH_VALID;
    }
    if (breadth->steps.count > breadth->steps_limit && breadth_collect(breadth) != 0)
        return SEARCH_MEMORY;
    memo_clear(&breadth->memo);
    breadth->entries.count = breadth->queues.count = 0;
    breadth->position = 0;
    breadth->queue = breadth->lightest = UINT32_MAX;
    for (uint32_t i = 0; i < breadth->survivor_entries.count; i++) {
        uint32_t weight = breadth_entry(&breadth->survivor_entries, i)->weight;
        if (weight < breadth->lightest)
            breadth->lightest = weight;
    }
    enum search_status status = SEARCH_PAUSED;
    for (uint32_t i = 0; i < breadth->survivors.count && status == SEARCH_PAUSED; i++)
        status = breadth_enter(breadth,
                               (uint64_t *)breadth->survivors.items + (size_t)i * problem->width,
                               *breadth_entry(&breadth->survivor_entries, i));
    breadth->survivors.count = breadth->survivor_entries.count = 0;
    return status;
}

/* The lightest configuration that is not done with, or UINT32_MAX. */
static uint32_t breadth_first(struct breadth *breadth)
{
    for (; breadth->queue < breadth->queues.count; breadth->queue++) {
        uint32_t first = ((struct queue *)breadth->queues.items + breadth->queue)->first;
        if (first != 0)
            return first - 1;
    }
    return UINT32_MAX;
}

static void breadth_dequeue(struct breadth *breadth, uint32_t number)
{
    struct queue *queue = (struct queue *)breadth->queues.items + breadth->queue;
    queue->first = breadth_entry(&breadth->entries, number)->next;
    breadth->position = 0;
}

/* Take one branch of a configuration. */
static enum search_status breadth_expand(struct breadth *breadth, uint32_t number,
                                         uint64_t *configurations)
{
    const struct problem *problem = breadth->problem;
    struct entry entry = *breadth_entry(&breadth->entries, number);
    memcpy(breadth->parent, memo_block(&breadth->memo, number),
           sizeof(uint64_t) * problem->width);
    if (breadth->position == 0 && cursor_is_forced_done(problem, breadth->parent)) {
        breadth_dequeue(breadth, number);
        return breadth_survive(breadth, entry);
    }
    int32_t operation = cursor_branch(problem, &breadth->cursor, breadth->parent, entry.origin,
                               &breadth->position, breadth->child);
    if (operation < 0) {
        breadth_dequeue(breadth, number);
        return SEARCH_PAUSED;
    }
    ++*configurations;
    if (problem->slot[operation] < 0)
        entry.weight += problem->weight[problem->transition[operation]];
    entry.origin = cursor_branch_origin(problem, breadth->parent, operation);
    if (breadth_step(breadth, &entry.last_step, operation) != 0)
        return SEARCH_MEMORY;
    return breadth_enter(breadth, breadth->child, entry);
}

enum search_status breadth_run(struct breadth *breadth, uint64_t *configurations, uint64_t limit)
{
    const struct problem *problem = breadth->problem;
    enum search_status status = SEARCH_PAUSED;
    if (problem->n_returns == 0)
        return SEARCH_VALID;
    if (!breadth->has_begun) {
        struct entry entry = {ORIGIN_NONE, NO_STEP, 0, 0};
        breadth->has_begun = true;
        memset(breadth->child, 0, sizeof(uint64_t) * problem->width);
        breadth->child[0] = block_word(0, problem->initial);
        status = breadth_enter(breadth, breadth->child, entry);
    }
    while (status == SEARCH_PAUSED && *configurations < limit) {
        uint32_t number = breadth_first(breadth);
        bool is_full = breadth->survivors.count >= breadth->width;
        breadth->has_dropped = breadth->has_dropped || (number != UINT32_MAX && is_full);
        if (number == UINT32_MAX || is_full)
            status = breadth_next_return(breadth);
        else
            status = breadth_expand(breadth, number, configurations);
    }
    return status;
}

int32_t breadth_order(const struct breadth *breadth, int32_t *operations)
{
    const struct step *steps = breadth->steps.items;
    int32_t length = 0, written;
    for (uint32_t at = breadth->final_step; at != NO_STEP; at = steps[at].before)
        length++;
    written = length;
    for (uint32_t at = breadth->final_step; at != NO_STEP; at = steps[at].before)
        operations[--written] = steps[at].operation;
    return length;
}

void breadth_free(struct breadth *breadth)
{
    growing_free(&breadth->entries);
    growing_free(&breadth->queues);
    growing_free(&breadth->steps);
    growing_free(&breadth->survivors);
    growing_free(&breadth->survivor_entries);
    memo_free(&breadth->memo);
    breadth->final_step = NO_STEP;
}
