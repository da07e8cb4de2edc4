# For interactive shells.
[ -z "${PS1-}" ] && return
PS1='\u@cordon:\w\$ '
shopt -s checkwinsize
alias ls='ls --color=auto'
