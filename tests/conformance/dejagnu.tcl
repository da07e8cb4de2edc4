# Translates one DejaGnu test of findutils to a shell script on standard output: dejagnu.tcl FILE PATH_IN_TREE. The test is
# run with commands that write down what they would do; control flow is Tcl's, at the time of translation.
lassign $argv file path
set FTSFIND find
set XARGS xargs
set FINDFLAGS ""
set XARGSFLAGS ""
set base [file rootname $path]
set inputs [file dirname [file dirname $path]]/inputs
set written 0

proc quoted {word} { return '[string map {' '\\''} $word]' }

# The words of a command of Tcl's exec; redirections and pipes stay what they are.
proc line {words} {
  set out {}
  foreach word $words {
    if {$word in {| < > >> 2> 2>>}} {
      lappend out $word
    } elseif {[regexp {^(2>>|2>|>>|>|<)(.+)$} $word - operator rest]} {
      lappend out "$operator[expr {[string index $rest 0] eq "&" ? $rest : [quoted $rest]}]"
    } else {
      lappend out [quoted $word]
    }
  }
  return [join $out " "]
}

proc emit {text} { real_puts $text; return "" }
rename puts real_puts
rename exec real_exec
rename open real_open
rename close real_close
real_puts {. "$top/dejagnu.sh"}

proc exec args { emit [line $args] }
proc words args { return $args }
proc touch args { emit "touch [line $args]" }
proc mkdir args { emit "mkdir [line $args]" }
proc cd where { emit "cd [quoted $where]" }
proc send_log args {}
proc verbose args {}
proc which args { return 1 }
proc fs_superuser args { return 0 }
proc safe_path args { return 1 }
proc path_setting_is_unsafe args { return 0 }
proc untested args { emit "echo 'skip: untested'; exit 77" }
proc warning args {}
proc pass args { emit "passed" }
proc fail args { emit "failed [quoted $args]" }

# A file that the test writes: its contents are put there by the script.
proc open {name {mode r}} {
  if {![regexp {^[wa]} $mode]} { error "reads $name" }
  set ::contents($name) ""
  return $name
}
proc puts args {
  set newline "\n"
  if {[lindex $args 0] eq "-nonewline"} { set newline ""; set args [lrange $args 1 end] }
  if {[llength $args] == 2} { append ::contents([lindex $args 0]) [lindex $args 1] $newline }
}
proc close {name} {
  emit "printf %s [quoted [binary encode base64 [encoding convertto utf-8 $::contents($name)]]] | base64 -d >>[quoted $name]"
}

proc find_start {passfail options {infile ""} {output ""} {setup ""}} {
  foreach level {0 1 2 3} {
    uplevel #0 $setup
    set words [uplevel #0 "words find -O$level $options"]
    emit "find_check $passfail $::base.xo [line $words]"
  }
}

proc xargs_start {passfail options {infile ""} {errh ""} {command ""}} {
  set input [expr {$infile eq "" ? "/dev/null" : "\"\$top\"/$::inputs/$infile"}]
  set words [uplevel #0 [expr {$command ne "" ? "words $command" : "words xargs $options"}]]
  set errors [expr {[string match "s*" $errh] ? "any" : "$::base.xe"}]
  # In a group, so that the input is that of the first command of a pipe.
  emit "{ [line $words]; } <$input >xargs.out 2>xargs.err\nxargs_check \$? $passfail $::base.xo $errors"
}

source $file
emit {exit $fail}
