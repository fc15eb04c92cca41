#!/bin/sh
# One program of the soak: adversary.sh KIND. The words of `case` are the kinds that population.py knows.
#
# Whatever it is, it first takes a lock that all its descendants hold too (they inherit descriptor 9). A copy that finds
# the lock taken was started while something of an earlier copy lived: that is written to the file `twice`, which has to
# stay away. Each start is noted in `starts`, to be found again in the event log. SOAK_DIR is where all that lies.
slot="$TASKMASTER_PROGRAM:$TASKMASTER_INSTANCE"
exec 9>>"$SOAK_DIR/locks/$slot"
flock -n 9 || echo "$slot $$" >>"$SOAK_DIR/twice"
echo "$slot $$" >>"$SOAK_DIR/starts"

one_in() { [ $(($$ % $1)) -eq 0 ]; }

case "$1" in
steady) exec sleep 10000 ;;
silent) exec sleep 10000 >&- 2>&- ;; # the end of its pipe is no exit
crashes)
    sleep $((1 + $$ % 4))
    exit 3
    ;;
dumps) # dies of a signal
    sleep $((1 + $$ % 5))
    kill -SEGV $$
    ;;
fails)
    echo "$slot cannot start" >&2
    exit 1
    ;;
expected) # one of its exitcodes
    sleep $((1 + $$ % 3))
    exit 2
    ;;
slow)
    sleep 1
    if one_in 3; then exit 1; fi
    exec sleep 10000
    ;;
floods)
    while :; do
        yes "$slot says the same thing over and over again" | head -c 2000000
        sleep 3
    done
    ;;
deaf)
    trap '' TERM INT HUP USR1 USR2
    while :; do sleep 10000; done
    ;;
frozen) # stops itself; only CONT or KILL reach it
    kill -STOP $$
    exec sleep 10000
    ;;
daemonizes)
    setsid sleep 10000 &
    exit 0
    ;;
escapes) # a descendant in a session of its own, with the leader alive
    (setsid sleep 10000 &)
    exec sleep 10000
    ;;
leaves) # grandchildren that hold its pipe outlive it
    sleep 10000 &
    (sleep 10000 &)
    sleep $((1 + $$ % 4))
    exit 4
    ;;
deafkids) # so do grandchildren that ignore TERM
    (
        trap '' TERM
        sleep 10000 &
    )
    sleep $((2 + $$ % 4))
    exit 0
    ;;
writes | formed | stamped | piped) # "COPY NUMBER": each copy counts from 1, a line at a time; what sh says about a killed sleep is no such line
    exec 2>/dev/null
    copy="$$.$(date +%s%N)"
    pause=1
    [ "$1" = writes ] && pause=0.25
    number=0
    while :; do
        number=$((number + 1))
        echo "$copy $number"
        if [ $((number % 50)) -eq 0 ]; then sleep $pause; fi
    done
    ;;
*) exit 64 ;;
esac
