"""Let a shell's prompt say that it is in the cluster: `@CONTEXT|` before what the user has.

Called by: session.
Owns: the start-up files that it writes, which go with the session's directory.
Never: lets the context's name be read as code, whatever it is; takes the user's own start-up files
away.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from telepresence.values import Launch, Plan

CONTEXT = b"TELEPRESENCE_CONTEXT"

# bash(1), PROMPT_COMMAND: run before each prompt, last, as themes set PS1 anew there.  The name
# stays a variable in PS1, whose value bash does not read as code.
_BASH = r"""
[ -f ~/.bashrc ] && . ~/.bashrc
telepresence_prompt() {
    case $PS1 in
        '@${TELEPRESENCE_CONTEXT}|'*) ;;
        *) PS1='@${TELEPRESENCE_CONTEXT}|'$PS1 ;;
    esac
}
case $(declare -p PROMPT_COMMAND 2>/dev/null) in
    'declare -a'*) PROMPT_COMMAND+=(telepresence_prompt) ;;
    *) PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}telepresence_prompt ;;
esac
"""
# zsh(1), "STARTUP/SHUTDOWN FILES": the user's are read from where zsh would have found them.
_ZSHENV = """
ours=$ZDOTDIR
if [[ -n $TELEPRESENCE_ZDOTDIR ]]; then ZDOTDIR=$TELEPRESENCE_ZDOTDIR; else unset ZDOTDIR; fi
[[ -f ${ZDOTDIR:-$HOME}/.zshenv ]] && . ${ZDOTDIR:-$HOME}/.zshenv
if [[ -o interactive ]]; then
    export TELEPRESENCE_ZDOTDIR=$ZDOTDIR ZDOTDIR=$ours
fi
unset ours
"""
# zshmisc(1), %v: an element of psvar, which is not expanded again.
_ZSHRC = """
if [[ -n $TELEPRESENCE_ZDOTDIR ]]; then ZDOTDIR=$TELEPRESENCE_ZDOTDIR; else unset ZDOTDIR; fi
unset TELEPRESENCE_ZDOTDIR
[[ -f ${ZDOTDIR:-$HOME}/.zshrc ]] && . ${ZDOTDIR:-$HOME}/.zshrc
telepresence_prompt() {
    psvar[9]="@$TELEPRESENCE_CONTEXT|"
    [[ $PROMPT == '%9v'* ]] || PROMPT='%9v'$PROMPT
}
precmd_functions+=(telepresence_prompt)
"""
# fish(1), --init-command: after config.fish.  The status is the last command's for the user's own.
_FISH = """
functions -q fish_prompt; and functions --copy fish_prompt telepresence_own_prompt
function telepresence_status; return $argv[1]; end
function fish_prompt
    set -l last $status
    printf '@%s|' $TELEPRESENCE_CONTEXT
    telepresence_status $last
    functions -q telepresence_own_prompt; and telepresence_own_prompt
end
"""
# POSIX, "Shell Variables", PS1: parameters in it are expanded.
_POSIX = b"@${TELEPRESENCE_CONTEXT}|$ "


def _bash(launch: Launch, folder: Path) -> Launch:
    (folder / "bashrc").write_text(_BASH)
    return replace(launch, argv=(*launch.argv, "--rcfile", str(folder / "bashrc")))


def _zsh(launch: Launch, folder: Path) -> Launch:
    (folder / ".zshenv").write_text(_ZSHENV)
    (folder / ".zshrc").write_text(_ZSHRC)
    own = {b"TELEPRESENCE_ZDOTDIR": launch.environ.get(b"ZDOTDIR", b"")}
    return replace(launch, environ={**launch.environ, **own, b"ZDOTDIR": str(folder).encode()})


def _fish(launch: Launch, _: Path) -> Launch:
    return replace(launch, argv=(*launch.argv, "--init-command", _FISH))


def _posix(launch: Launch, _: Path) -> Launch:
    return replace(launch, environ={**launch.environ, b"PS1": _POSIX})


_SHELLS: dict[str, Callable[[Launch, Path], Launch]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
_SHELLS |= dict.fromkeys(("sh", "dash", "ash", "ksh", "mksh"), _posix)


def with_prompt(launch: Launch, plan: Plan) -> Launch:
    """The same launch, if it is a shell's that is known: its words are the last of `argv`."""
    shell = _SHELLS.get(Path(plan.program).name)
    if not plan.is_shell or shell is None:
        return launch
    folder = Path(tempfile.mkdtemp(prefix="telepresence-"))
    named = replace(launch, environ={**launch.environ, CONTEXT: plan.context.encode()})
    return shell(named, folder)
