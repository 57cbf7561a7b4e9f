/* Lines for the log of the session.
 *
 * Called by: everything here.  Owns: nothing.
 * Never: waits for its reader; writes to the program's own terminal. */
#ifndef TELEPRESENCE_SUPERVISOR_REPORT_H
#define TELEPRESENCE_SUPERVISOR_REPORT_H

__attribute__((format(printf, 2, 3))) void report(int log, const char *format, ...);

#endif
