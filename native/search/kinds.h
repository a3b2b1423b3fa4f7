/*
 * kinds.h: which crashed operations can matter, and until when.
 *
 * Rule (d). A transition is sensitive unless it is total and constant, or total and the identity.
 * need[s] is the last return of an ok sensitive operation enabled in s, closed under crashed
 * sensitive transitions s -> d: need[s] >= need[d]. A crashed operation that leads to d while every
 * return up to need[d] is past can be erased from a linearization, and so can what follows it up to
 * the next constant: whatever follows is constant, the identity, or sensitive and crashed.
 * "Partial" instead of "sensitive" is wrong: it gives false invalids on random tables.
 *
 * Time: O(states * transitions * depth of the closure) for a table, O(n + states + transitions) for
 * a register. Of lazy states nothing is known: a crashed operation can matter until the end.
 */
#ifndef DISSEVER_KINDS_H
#define DISSEVER_KINDS_H

#include "problem.h"

/*
 * Fill `pure`, `need`, `weight`, `cover` and all that is by kind. Slots and returns are known.
 * Returns a search_error: SEARCH_WIDE with too many kinds at one time.
 */
int problem_crashes(struct problem *problem, struct account *account);

#endif
