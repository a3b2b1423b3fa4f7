/* See addresses.h. */
#define _GNU_SOURCE
#include "addresses.h"

#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

enum { KEPT_MAX = 8 };

extern char **environ;

void addresses_fix(void)
{
    int now = personality(0xffffffff); /* It only asks. */
    if (now < 0 || now & ADDR_NO_RANDOMIZE || personality((unsigned)now | ADDR_NO_RANDOMIZE) < 0)
        return;
    char *arguments[] = {"simulator", NULL};
    char *kept[KEPT_MAX + 1] = {NULL}; /* Of sanitizers. */
    for (size_t i = 0, count = 0; environ[i] && count < KEPT_MAX; i++)
        if (strstr(environ[i], "SAN_OPTIONS="))
            kept[count++] = environ[i];
    execve("/proc/self/exe", arguments, kept);
}
