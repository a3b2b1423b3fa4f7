/* libraft 0.15.0 (Debian 12). */
#ifndef DISSEVER_SIMULATION_VARIANT_H
#define DISSEVER_SIMULATION_VARIANT_H

#include <raft.h>

#define LIBRARY_NAME "libraft 0.15.0"

enum {
    IO_VERSION = 2,
    /* Does raft_uv try a failed write again, instead of telling the library? */
    RETRIES_FAILED_WRITES = 0,
};

/* What the callbacks of this version get, beside what all get. */
#define FSM_APPLY_RESULT , void **result
#define FSM_SET_RESULT(value) (*result = (value))
#define FSM_PASS_RESULT , result
#define FSM_FINALIZE_ARGUMENTS struct raft_buffer *bufs[], unsigned *n_bufs
#define FSM_FINALIZE_PASS bufs, n_bufs
#define FSM_FINALIZE_BUFFERS (*bufs)
#define FSM_FINALIZE_COUNT (*n_bufs)
#define APPLY_CB_RESULT , void *result
#define TRUNCATE_REQUEST
#define TRUNCATE_FREE
#define TRACER_ARGUMENTS const char *file, int line, const char *message

#define IO_MORE .async_work = server_async_work,
#define HAS_ASYNC_WORK 1
#define HAS_TIMERS 0
#define HAS_STATE_CALLBACK 0
#define SNAPSHOT_VERSION_MAX 3

static inline void library_append_begin(struct raft_io_append *request)
{
    (void)request;
}

static inline raft_index library_configuration_index(const struct raft *raft)
{
    return raft->configuration_uncommitted_index ? raft->configuration_uncommitted_index
                                                 : raft->configuration_index;
}

#endif
