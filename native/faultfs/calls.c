/*
 * calls.c: the begin and the end of a call (see calls.h).
 */
#include "calls.h"

#include <pthread.h>

#include "control.h"

int calls_root = -1;

int call_begin(enum operation operation, const char *path, struct verdict *verdict)
{
    *verdict = rules_judge(operation, inner_path(path));
    pthread_rwlock_rdlock(&power_lock);
    control_count((int)operation);
    int failure = power_is_off ? EIO : verdict->is_torn ? 0 : verdict->fails;
    if (failure)
        pthread_rwlock_unlock(&power_lock);
    return failure;
}

void call_finish(void)
{
    pthread_rwlock_unlock(&power_lock);
}
