/*
 * states.h: from what the gets returned to the states of a register, and which append leads to
 * each.
 *
 * The order of calls: states_number, then states_assign, then states_survey, whose values are for
 * zones_judge. Where equal texts are appended more than once, states_bound comes between a relaxed
 * survey and the next states_assign. Time: O(n) and once through each distinct text, except that
 * states_assign is O(states * appends of one group).
 */
#ifndef DISSEVER_STATES_H
#define DISSEVER_STATES_H

#include "corpus.h"

/*
 * Number the states that the gets returned and those of puts. is_guessing: where a text may belong
 * to more than one block, take the first; else leave out its gets. Returns whether the texts fit
 * together; if not, a witness.
 */
bool states_number(struct texts *texts, const struct texts_key *key, bool is_guessing,
                   struct texts_witness *witness);

/*
 * Say which append leads to each known state: of those that append the same, the first (or,
 * is_late, the last) that fits between what stands before and after it. Then give a state of its
 * own to each append that no get shows. Returns whether each state has its append.
 */
bool states_assign(struct texts *texts, const struct texts_key *key, bool is_late);

/*
 * Fill texts->values: where the operations on each state stand. is_relaxed: only what holds
 * whichever of several equal appends leads to it. Returns whether some append leads from state to
 * state.
 */
bool states_survey(struct texts *texts, const struct texts_key *key, bool is_relaxed);

/* Find what must come before and after each known state, from a relaxed survey. */
void states_bound(struct texts *texts);

#endif
