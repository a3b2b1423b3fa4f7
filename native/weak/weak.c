/* weak.c: the way from columns to a verdict. */
#include "weak.h"

#include <stdlib.h>

#include "observed.h"

static int32_t judge(struct weak *weak)
{
    static int32_t (*const demands[])(struct weak *) = {[WEAK_READ_COMMITTED] = weak_read_committed,
                                                        [WEAK_READ_ATOMIC] = weak_read_atomic,
                                                        [WEAK_CAUSAL] = weak_causal};
    int32_t (*const steps[])(struct weak *) = {weak_open, weak_resolve, weak_edges,
                                               weak_order_early};
    int32_t verdict = WEAK_VALID;
    for (size_t i = 0; verdict == WEAK_VALID && i < sizeof steps / sizeof *steps; i++)
        verdict = steps[i](weak);
    if (verdict == WEAK_VALID && !weak->is_ordered)
        verdict = demands[weak->options->level](weak);
    if (verdict == WEAK_VALID || verdict == WEAK_BUDGET) {
        int32_t ordered = weak_order(weak);
        verdict = ordered == WEAK_VALID ? verdict : ordered;
        if (ordered == WEAK_VALID && weak->result->errors_n > 0)
            verdict = WEAK_INVALID;
    }
    if (verdict == WEAK_VALID && weak->result->ambiguous_n > 0)
        verdict = WEAK_AMBIGUOUS;
    if (verdict != WEAK_VALID)
        weak->result->order_n = 0; /* it would prove nothing */
    return verdict;
}

int32_t weak_judge(const struct columns *columns, const struct micro *micro,
                   const struct weak_options *options, struct weak_result *result)
{
    struct weak weak = {
        .columns = columns, .micro = micro, .options = options, .result = result};
    *result = (struct weak_result){0};
    if (options->level < WEAK_READ_COMMITTED || options->level > WEAK_CAUSAL ||
        (options->level == WEAK_CAUSAL && options->no_sessions))
        result->verdict = WEAK_MALFORMED;
    else
        result->verdict = judge(&weak);
    weak_close(&weak);
    return result->verdict;
}

void weak_free(struct weak_result *result)
{
    free(result->errors);
    free(result->walk);
    free(result->whys);
    free(result->order);
    *result = (struct weak_result){0};
}
