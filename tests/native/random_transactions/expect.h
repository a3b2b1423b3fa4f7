/*
 * expect.h: the anomalies of a small history by their definition, each found in the plainest way.
 *
 * Cycles are told by class, as the head of graph.h defines it. They are known of lists alone, and
 * only where every read that counts is a beginning of the longest one of its key and consists of
 * what ok or unknown transactions appended: `has_cycles` says whether they are known.
 *
 * Sources: Adya, "Weak consistency" (1999); Kingsbury and Alvaro, "Elle" (2020).
 */
#ifndef DISSEVER_TEST_EXPECT_H
#define DISSEVER_TEST_EXPECT_H

#include "generate.h"

enum expect_anomaly {
    EXPECT_INTERNAL,
    EXPECT_FUTURE_READ,
    EXPECT_PHANTOM,
    EXPECT_G1A,
    EXPECT_G1B,
    EXPECT_DIRTY_UPDATE,
    EXPECT_DUPLICATE_ELEMENTS,
    EXPECT_INCOMPATIBLE_ORDER,
    EXPECT_LOST_UPDATE,
    EXPECT_CYCLIC_VERSIONS,
    EXPECT_ANOMALIES
};

#define EXPECT_RUNGS 5
#define EXPECT_LEVELS 3

struct expect {
    bool has[EXPECT_ANOMALIES];
    bool has_cycles; /* whether `cycles` is known */
    bool cycles[EXPECT_RUNGS][EXPECT_LEVELS]; /* G0, G1c, G-single, G-nonadjacent, G2-item; on data,
                                                 with process, with process and real time */
};

void expect(const struct generate_history *history, struct expect *found);

#endif
