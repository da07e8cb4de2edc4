# ~/.profile: what login shells read.
[ -n "${BASH-}" ] && [ -r ~/.bashrc ] && . ~/.bashrc
