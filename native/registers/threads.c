/*
 * threads.c: threads begun, waited for and joined (see threads.h).
 */
#define _DEFAULT_SOURCE /* clock_gettime, pthread_condattr_setclock, _SC_NPROCESSORS_ONLN */

#include "threads.h"

#include <time.h>
#include <unistd.h>

#include "rounds.h"

#define THREADED_OPERATIONS_MIN 5000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

int threads_open(struct threads *threads)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return SEARCH_NO_MEMORY;
    bool is_made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                   pthread_cond_init(&threads->is_idle, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    if (!is_made)
        return SEARCH_NO_MEMORY;
    if (pthread_mutex_init(&threads->mutex, NULL) == 0)
        return SEARCH_OK;
    pthread_cond_destroy(&threads->is_idle);
    return SEARCH_NO_MEMORY;
}

void threads_close(struct threads *threads)
{
    pthread_mutex_destroy(&threads->mutex);
    pthread_cond_destroy(&threads->is_idle);
}

int32_t threads_count(const struct keys_options *options, int32_t n_operations)
{
    long wanted = options->n_threads;
    if (wanted == 0)
        wanted = n_operations < THREADED_OPERATIONS_MIN ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
    return wanted < 1 ? 1 : wanted > KEYS_THREADS_MAX ? KEYS_THREADS_MAX : (int32_t)wanted;
}

static void *thread_main(void *argument)
{
    struct worker *worker = argument;
    struct threads *threads = &worker->keys->threads;
    while (rounds_work(worker) >= 0)
        ;
    pthread_mutex_lock(&threads->mutex);
    threads->n_running--;
    pthread_cond_signal(&threads->is_idle);
    pthread_mutex_unlock(&threads->mutex);
    return NULL;
}

void threads_begin(struct keys *keys)
{
    struct threads *threads = &keys->threads;
    for (int32_t i = 0; i < keys->n_workers && threads->n_begun == i; i++) {
        pthread_mutex_lock(&threads->mutex);
        threads->n_running++;
        pthread_mutex_unlock(&threads->mutex);
        if (pthread_create(&keys->workers[i].thread, NULL, thread_main, &keys->workers[i]) == 0) {
            threads->n_begun++;
            continue;
        }
        pthread_mutex_lock(&threads->mutex);
        threads->n_running--;
        pthread_mutex_unlock(&threads->mutex);
    }
    threads->are_begun = threads->n_begun > 0;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

bool threads_wait(struct threads *threads, int32_t milliseconds)
{
    int64_t until_ns = now_ns() + milliseconds * NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    int status = 0;
    pthread_mutex_lock(&threads->mutex);
    while (threads->n_running > 0 && status == 0)
        status = pthread_cond_timedwait(&threads->is_idle, &threads->mutex, &until);
    bool is_done = threads->n_running == 0;
    pthread_mutex_unlock(&threads->mutex);
    return is_done;
}

void threads_join(struct keys *keys)
{
    for (int32_t i = 0; keys->threads.are_begun && i < keys->threads.n_begun; i++)
        pthread_join(keys->workers[i].thread, NULL);
    keys->threads.are_begun = false;
}

bool threads_work_here(struct keys *keys, int32_t milliseconds)
{
    int64_t until_ns = now_ns() + milliseconds * NS_PER_MS;
    int64_t taken = 0;
    for (;;) {
        int32_t size = rounds_work(&keys->workers[0]);
        if (size < 0)
            return true;
        taken += size;
        if (taken < SLICE_OPERATIONS)
            continue;
        taken = 0;
        if (now_ns() >= until_ns)
            return false;
    }
}
