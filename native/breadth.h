/*
 * breadth.h: the breadth-first search over antichains (Lowe 2017, with dominance).
 *
 * Between two returns it holds the set of all configurations that survived the first, only minimal
 * counts for each state and mask. Better than depth first on invalid histories, worse on long valid
 * ones. A trail of steps remembers how each configuration was reached.
 */
#ifndef DISSEVER_BREADTH_H
#define DISSEVER_BREADTH_H

#include "cursor.h"

#define NO_STEP UINT32_MAX
#define STEPS_MAX (UINT32_C(1) << 31)

struct step {
    uint32_t before; /* the step before it, or NO_STEP */
    int32_t operation;
};

/* A growing array. */
struct growing {
    void *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t size; /* bytes in an item */
};

struct breadth {
    struct cursor cursor;
    struct memo memo;         /* the configurations at the next return, in order of discovery */
    struct growing last_step; /* by configuration */
    struct growing steps;
    struct growing survivors; /* blocks past the next return */
    struct growing survivor_steps;
    uint64_t *child;
    uint64_t *parent;
    int32_t *absorbed;
    uint32_t n_expanded; /* configurations of the memo that are done with */
    uint32_t position;   /* the next branch of the one after them */
    uint32_t final_step; /* of the longest order known */
    bool has_begun;
};

static int growing_push(struct growing *growing, struct account *account, const void *item)
{
    if (growing->count == growing->capacity) {
        uint32_t capacity = growing->capacity == 0 ? 64 : growing->capacity * 2;
        if (capacity > STEPS_MAX)
            return -1;
        void *items = account_resize(account, growing->items, growing->size * growing->capacity,
                                     growing->size * capacity);
        if (items == NULL)
            return -1;
        growing->items = items;
        growing->capacity = capacity;
    }
    memcpy((char *)growing->items + growing->size * growing->count, item, (size_t)growing->size);
    growing->count++;
    return 0;
}

static void growing_free(struct growing *growing, struct account *account)
{
    account_free(account, growing->items, growing->size * growing->capacity);
    growing->items = NULL;
    growing->count = growing->capacity = 0;
}

static int breadth_open(struct breadth *breadth, struct problem *problem, struct account *account)
{
    breadth->memo.width = problem->width;
    breadth->memo.key_words = 1 + problem->mask_words;
    breadth->last_step.size = breadth->survivor_steps.size = sizeof(uint32_t);
    breadth->steps.size = sizeof(struct step);
    breadth->survivors.size = sizeof(uint64_t) * problem->width;
    breadth->final_step = NO_STEP;
    breadth->child = problem_allocate(problem, account, problem->width, sizeof(uint64_t));
    breadth->parent = problem_allocate(problem, account, problem->width, sizeof(uint64_t));
    breadth->absorbed = problem_allocate(problem, account, problem->n_slots, sizeof(int32_t));
    if (breadth->child == NULL || breadth->parent == NULL || breadth->absorbed == NULL)
        return SEARCH_NO_MEMORY;
    return cursor_open(problem, account, &breadth->cursor);
}

static int breadth_step(struct breadth *breadth, struct account *account, uint32_t *last,
                        int32_t operation)
{
    struct step step = {*last, operation};
    *last = breadth->steps.count;
    return growing_push(&breadth->steps, account, &step);
}

/* Absorb, and add to the configurations at this return unless dominated. */
static enum search_status breadth_enter(struct breadth *breadth, const struct problem *problem,
                                        struct account *account, uint64_t *block, uint32_t last)
{
    int32_t n_absorbed = absorb(problem, &breadth->cursor, block, breadth->absorbed);
    enum memo_answer answer = memo_add(&breadth->memo, account, block, false);
    if (answer == MEMO_SEEN)
        return SEARCH_PAUSED;
    if (answer == MEMO_FULL)
        return SEARCH_MEMORY;
    for (int32_t i = 0; i < n_absorbed; i++)
        if (breadth_step(breadth, account, &last, breadth->absorbed[i]) != 0)
            return SEARCH_MEMORY;
    if (growing_push(&breadth->last_step, account, &last) != 0)
        return SEARCH_MEMORY;
    breadth->final_step = last;
    return SEARCH_PAUSED;
}

static enum search_status breadth_survive(struct breadth *breadth, const struct problem *problem,
                                          struct account *account, uint32_t last)
{
    pass_return(problem, &breadth->cursor, breadth->parent);
    if (growing_push(&breadth->survivors, account, breadth->parent) != 0 ||
        growing_push(&breadth->survivor_steps, account, &last) != 0)
        return SEARCH_MEMORY;
    return SEARCH_PAUSED;
}

/* All configurations at this return are expanded: go on with the survivors. */
static enum search_status breadth_next_return(struct breadth *breadth,
                                              const struct problem *problem,
                                              struct account *account)
{
    if (breadth->survivors.count == 0)
        return SEARCH_INVALID;
    cursor_advance(problem, &breadth->cursor);
    if (breadth->cursor.at == problem->n_returns) {
        breadth->final_step = *(uint32_t *)breadth->survivor_steps.items;
        return SEARCH_VALID;
    }
    memo_clear(&breadth->memo);
    breadth->last_step.count = 0;
    breadth->n_expanded = breadth->position = 0;
    enum search_status status = SEARCH_PAUSED;
    for (uint32_t i = 0; i < breadth->survivors.count && status == SEARCH_PAUSED; i++)
        status = breadth_enter(breadth, problem, account,
                               (uint64_t *)breadth->survivors.items + (size_t)i * problem->width,
                               ((uint32_t *)breadth->survivor_steps.items)[i]);
    breadth->survivors.count = breadth->survivor_steps.count = 0;
    return status;
}

/* Take one branch of the first configuration that has any left. */
static enum search_status breadth_expand(struct breadth *breadth, const struct problem *problem,
                                         struct account *account, uint64_t *configurations)
{
    uint32_t last = ((uint32_t *)breadth->last_step.items)[breadth->n_expanded];
    memcpy(breadth->parent, memo_block(&breadth->memo, breadth->n_expanded),
           sizeof(uint64_t) * problem->width);
    if (breadth->position == 0 && is_forced_done(problem, breadth->parent)) {
        breadth->n_expanded++;
        return breadth_survive(breadth, problem, account, last);
    }
    int32_t operation = branch(problem, &breadth->cursor, breadth->parent, &breadth->position,
                               breadth->child);
    if (operation < 0) {
        breadth->n_expanded++;
        breadth->position = 0;
        return SEARCH_PAUSED;
    }
    ++*configurations;
    if (breadth_step(breadth, account, &last, operation) != 0)
        return SEARCH_MEMORY;
    return breadth_enter(breadth, problem, account, breadth->child, last);
}

/* Explore until `*configurations` reaches `limit`. */
static enum search_status breadth_run(struct breadth *breadth, const struct problem *problem,
                                      struct account *account, uint64_t *configurations,
                                      uint64_t limit)
{
    enum search_status status = SEARCH_PAUSED;
    if (problem->n_returns == 0)
        return SEARCH_VALID;
    if (!breadth->has_begun) {
        breadth->has_begun = true;
        memset(breadth->child, 0, sizeof(uint64_t) * problem->width);
        breadth->child[0] = block_word(0, problem->initial);
        status = breadth_enter(breadth, problem, account, breadth->child, NO_STEP);
    }
    while (status == SEARCH_PAUSED && *configurations < limit) {
        if (breadth->n_expanded == breadth->memo.count)
            status = breadth_next_return(breadth, problem, account);
        else
            status = breadth_expand(breadth, problem, account, configurations);
    }
    return status;
}

static int32_t breadth_order(const struct breadth *breadth, int32_t *operations)
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

static void breadth_free(struct breadth *breadth, struct account *account)
{
    growing_free(&breadth->last_step, account);
    growing_free(&breadth->steps, account);
    growing_free(&breadth->survivors, account);
    growing_free(&breadth->survivor_steps, account);
    memo_free(&breadth->memo, account);
    breadth->final_step = NO_STEP;
}

#endif
