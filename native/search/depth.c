/*
 * depth.c: the depth-first just-in-time search (Lowe 2017), with an explicit stack.
 *
 * Valid histories take about one configuration an operation: the forced operation is tried first.
 * The memo alone keeps it from exploring a configuration twice; the current path is no exception.
 * Memory: 8 * (width + 2) bytes a frame, and what memo.h says a configuration.
 */
#include <string.h>

#include "engines.h"

#define FRAME_WORDS 2 /* length of the order and next branch; origin */

int depth_open(struct depth *depth, struct problem *problem)
{
    int64_t n = (int64_t)problem->n_operations + 1;
    depth->problem = problem;
    depth->memo = problem_memo(problem);
    depth->frames = (struct growing){
        .account = problem->account, .size = sizeof(uint64_t) * (problem->width + FRAME_WORDS)};
    depth->best_return = -1;
    depth->child = problem_allocate(problem, problem->width, sizeof(uint64_t));
    depth->order = problem_allocate(problem, n, sizeof(int32_t));
    depth->best = problem_allocate(problem, n, sizeof(int32_t));
    if (depth->child == NULL || depth->order == NULL || depth->best == NULL)
        return SEARCH_NO_MEMORY;
    return cursor_open(problem, &depth->cursor);
}

/* The frame on top; there is one. */
static uint64_t *depth_frame(const struct depth *depth)
{
    return (uint64_t *)depth->frames.items +
           (size_t)(depth->frames.count - 1) * (depth->memo.width + FRAME_WORDS);
}

static int depth_push(struct depth *depth, const uint64_t *block, int32_t origin)
{
    uint64_t *frame = growing_add(&depth->frames);
    if (frame == NULL)
        return -1;
    memcpy(frame, block, sizeof(uint64_t) * depth->memo.width);
    frame[depth->memo.width] = (uint64_t)(uint32_t)depth->order_length << 32;
    frame[depth->memo.width + 1] = (uint64_t)(uint32_t)origin;
    return 0;
}

/* Keep the path to the frame on top when it got further than any that ended before. */
static void depth_save_best(struct depth *depth)
{
    if (depth->frames.count == 0)
        return;
    const uint64_t *frame = depth_frame(depth);
    int32_t length = (int32_t)(frame[depth->memo.width] >> 32);
    if (block_return(frame) <= depth->best_return)
        return;
    if (length > depth->common)
        memcpy(depth->best + depth->common, depth->order + depth->common,
               sizeof(int32_t) * (size_t)(length - depth->common));
    depth->best_length = depth->common = length;
    depth->best_return = block_return(frame);
}

/*
 * Absorb, pass every return that is linearized, and push what remains unless it is dominated.
 * SEARCH_PAUSED means go on.
 */
static enum search_status depth_enter(struct depth *depth, uint64_t *block, int32_t origin)
{
    const struct problem *problem = depth->problem;
    while (block_return(block) < problem->n_returns) {
        cursor_seek(problem, &depth->cursor, block_return(block));
        int32_t n_absorbed = cursor_absorb(problem, &depth->cursor, block,
                                    depth->order + depth->order_length);
        if (n_absorbed > 0)
            origin = ORIGIN_NONE;
        depth->order_length += n_absorbed;
        if (!cursor_is_forced_done(problem, block))
            break;
        cursor_pass_return(problem, &depth->cursor, block);
    }
    if (block_return(block) > depth->reach)
        depth->reach = block_return(block);
    if (block_return(block) == problem->n_returns)
        return SEARCH_VALID;
    enum memo_answer answer = memo_add(&depth->memo, block, true);
    if (answer == MEMO_NEW && depth_push(depth, block, origin) != 0)
        answer = MEMO_FULL;
    return answer == MEMO_FULL ? SEARCH_MEMORY : SEARCH_PAUSED;
}

enum search_status depth_run(struct depth *depth, uint64_t *configurations, uint64_t limit)
{
    const struct problem *problem = depth->problem;
    enum search_status status = depth->is_spent ? SEARCH_MEMORY : SEARCH_PAUSED;
    if (!depth->has_begun) {
        depth->has_begun = true;
        memset(depth->child, 0, sizeof(uint64_t) * problem->width);
        depth->child[0] = block_word(0, problem->initial);
        status = depth_enter(depth, depth->child, ORIGIN_NONE);
    }
    while (status == SEARCH_PAUSED && *configurations < limit) {
        if (depth->frames.count == 0)
            return SEARCH_INVALID;
        uint64_t *frame = depth_frame(depth);
        uint64_t *progress = &frame[depth->memo.width];
        uint32_t position = (uint32_t)(*progress & UINT32_MAX);
        depth->order_length = (int32_t)(*progress >> 32);
        if (depth->common > depth->order_length)
            depth->common = depth->order_length;
        cursor_seek(problem, &depth->cursor, block_return(frame));
        int32_t origin = (int32_t)(uint32_t)progress[1];
        int32_t operation =
            cursor_branch(problem, &depth->cursor, frame, origin, &position, depth->child);
        *progress = (uint64_t)(uint32_t)depth->order_length << 32 | position;
        if (operation < 0) {
            depth_save_best(depth);
            depth->frames.count--;
            continue;
        }
        ++*configurations;
        depth->order[depth->order_length++] = operation;
        origin = cursor_branch_origin(problem, frame, operation);
        status = depth_enter(depth, depth->child, origin);
    }
    if (status == SEARCH_MEMORY) {
        depth_save_best(depth);
        depth->is_spent = true;
    }
    return status;
}

int32_t depth_order(struct depth *depth, int32_t *operations, bool is_valid)
{
    if (!is_valid)
        depth_save_best(depth);
    const int32_t *order = is_valid ? depth->order : depth->best;
    int32_t length = is_valid ? depth->order_length : depth->best_length;
    memcpy(operations, order, sizeof(int32_t) * (size_t)length);
    return length;
}

void depth_free(struct depth *depth)
{
    growing_free(&depth->frames);
    memo_free(&depth->memo);
}
