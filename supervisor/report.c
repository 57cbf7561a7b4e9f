#include "report.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void report(int log, const char *format, ...)
{
	char line[PIPE_BUF]; /* in one piece: pipe(7) */
	va_list args;
	int len;

	if (log == -1)
		return;
	va_start(args, format);
	len = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (len < 0)
		return;
	if (len > (int)sizeof line - 2)
		len = (int)sizeof line - 2;
	line[len] = '\n';
	if (write(log, line, (size_t)len + 1) == -1)
		return; /* its reader is gone or slow: the program matters more */
}
