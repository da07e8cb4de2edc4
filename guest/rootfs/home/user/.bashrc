# ~/.bashrc: what interactive shells read.
[ -r /etc/bash.bashrc ] && . /etc/bash.bashrc
