/* `getrandom` is a hidden source of chance in libraries: here it is a stream of the run. */
#include "simulation.h"

#include <sys/types.h>

ssize_t getrandom(void *bytes, size_t size, unsigned flags);

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    (void)flags;
    struct random nowhere = {0};
    struct random *random = simulation.running ? &simulation.running->system_random : &nowhere;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)random_next(random);
    return (ssize_t)size;
}
