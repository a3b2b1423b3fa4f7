/* weak.c: the way from columns to a verdict. */
#include "weak.h"

#include <stdlib.h>

int32_t weak_judge(const struct columns *columns, const struct micro *micro,
                   const struct weak_options *options, struct weak_result *result)
{
    (void)micro;
    (void)options;
    *result = (struct weak_result){.verdict = WEAK_BUDGET, .transactions = columns->n};
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
