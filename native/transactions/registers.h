/*
 * registers.h: what the parts that infer the versions of registers share (see engine.h).
 *
 * A version is named by the entry that wrote it: the last write of its transaction on the key.
 */
#ifndef DISSEVER_TRANSACTIONS_REGISTERS_H
#define DISSEVER_TRANSACTIONS_REGISTERS_H

#include "engine.h"

#define NO_VERSION (-1)
#define INITIAL_VERSION (-2)

/* A version comes directly before another one of its key. */
struct succession {
    int32_t before; /* INITIAL_VERSION or an entry */
    int32_t after;
};

/*
 * versions.c: which version of a register follows which, from what transactions read before they
 * wrote and from the order of transactions by ww and wr; and the rw edges that follow. 0 or -1
 * without memory.
 */
int32_t versions_infer(struct engine *engine);

/*
 * saturate.c: behind the edges of a mask those that every serial order has: of two versions of a
 * key, where a path leads from a transaction of one to a transaction of the other. 1 when there are
 * no more, 0 when they make a cycle, -1 without memory. `open` gets two versions whose order is
 * still not known; `before` is NO_VERSION without any.
 */
int32_t saturate_edges(struct engine *engine, uint32_t mask, struct succession *open);

/* Edges from all transactions of a version to the writer of another one. 0 or -1 without memory. */
int32_t saturate_pair(struct engine *engine, struct succession pair);

/* What became of an order of a level (decide.c). */
enum decided {
    DECIDED_FOUND,    /* guess_order's, in `order` */
    DECIDED_REFUTED,  /* by the edges that every order has, which are there */
    DECIDED_NONE,     /* every choice was tried */
    DECIDED_OPEN,     /* the budget was spent */
    DECIDED_MEMORY
};

/* decide.c: find a serial order that keeps the edges of a mask, or show that there is none. Adds
 * vertices and edges; `order` gets room for the vertices then, to be freed. */
enum decided decide_order(struct engine *engine, uint32_t mask, uint32_t **order);

#endif
