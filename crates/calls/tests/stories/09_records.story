// Records of legs that a source writes only once the leg has ended: json_cdr, CDR, CEL.

# The record of a dialled leg alone ends the call, as concluded, and never makes it live.
10:00:01 initiated leg=b after_the_fact=yes from=+1 to=+2 | 10:00:05 answered leg=b after_the_fact=yes
10:01:05 completed leg=b after_the_fact=yes cause=user_hangup by=callee
=> status=completed ended=10:01:05 talk=60 inferred=yes cause=user_hangup by=callee from=+1 to=+2 set_by.end=e03

# While such a leg is half told the call is not live.
10:00:01 initiated leg=b after_the_fact=yes | 10:00:05 answered leg=b after_the_fact=yes
=> status=queued live=no answered=none

# The record of leg a goes before what was concluded.
10:00:01 initiated leg=b after_the_fact=yes from=+1 to=+2 | 10:00:05 answered leg=b after_the_fact=yes
10:01:05 completed leg=b after_the_fact=yes cause=user_hangup by=callee
10:00:00 initiated leg=a after_the_fact=yes from=+9 | 10:00:05 answered leg=a after_the_fact=yes
10:02:00 completed leg=a after_the_fact=yes by=caller
=> status=completed ended=10:02:00 inferred=no by=caller from=+9 to=none talk=115

# Unanswered tries do not show whether the call goes on: another one may talk.
10:00:00 initiated leg=b after_the_fact=yes | 10:00:20 completed leg=b after_the_fact=yes cause=no_answer elsewhere=yes
=> status=queued live=no ended=none
10:00:00 initiated leg=b after_the_fact=yes | 10:00:20 failed leg=b after_the_fact=yes cause=busy => status=queued live=no

// The ledger concludes them after a while: crates/server/src/reconcile.
10:00:00 initiated leg=b after_the_fact=yes | 10:00:20 failed leg=b after_the_fact=yes cause=busy
10:00:20 failed inferred=yes cause=busy
=> status=busy ended=10:00:20 inferred=yes

# An unanswered try beside an answered one: the one that talked gives the cause, once both are over.
10:00:00 initiated leg=b after_the_fact=yes | 10:00:20 completed leg=b after_the_fact=yes cause=no_answer elsewhere=yes
10:00:00 initiated leg=c after_the_fact=yes | 10:00:20 answered leg=c after_the_fact=yes
10:01:00 completed leg=c after_the_fact=yes cause=agent_hangup by=callee
=> status=completed ended=10:01:00 talk=40 cause=agent_hangup by=callee

# The lost branch of a call that another source tells live neither ends it nor is ended by it.
10:00:00 initiated | 10:00:20 answered | 10:00:00 initiated leg=b after_the_fact=yes
10:00:20 completed leg=b after_the_fact=yes cause=no_answer elsewhere=yes
=> status=in_progress live=yes ended=none
10:00:00 initiated | 10:00:20 answered | 10:00:20 answered leg=b after_the_fact=yes
10:01:00 completed leg=b after_the_fact=yes
=> status=in_progress live=yes ended=none

# A turn after the end of the leg shows that the call went on without it.
10:00:20 answered leg=b after_the_fact=yes | 10:01:00 completed leg=b after_the_fact=yes | 10:01:30 turn role=user says=hello
=> status=queued ended=none

# A leg that is reported live keeps the call open until it ends.
10:00:20 answered leg=b after_the_fact=yes | 10:01:00 completed leg=b after_the_fact=yes | 10:00:30 ringing leg=c
=> status=in_progress ended=none
