// A source that cannot know who originated the call says so of each leg, and which leg it dialled (an Asterisk CDR row).

# A leg that nobody dialled is the originating one.
10:01:00 completed leg=SIP/1 origin_unless_dialled=yes dialled=SIP/2 from=+1 to=+2 by=caller started=10:00:00 duration=50
=> status=completed from=+1 to=+2 by=caller answered=10:00:10 created=10:00:00

# A leg that another dialled is not, whichever row is the earlier one.
10:01:00 completed leg=SIP/1 origin_unless_dialled=yes dialled=SIP/2 from=+1 to=+2 cause=user_hangup
10:01:30 completed leg=SIP/2 origin_unless_dialled=yes dialled=SIP/3 from=+2 to=+3 cause=agent_hangup
=> from=+1 to=+2 ended=10:01:30 cause=agent_hangup lost.to_number="e02 other_leg"
10:01:00 completed leg=SIP/2 origin_unless_dialled=yes dialled=SIP/3 from=+2 to=+3 cause=agent_hangup
10:01:30 completed leg=SIP/1 origin_unless_dialled=yes dialled=SIP/2 from=+1 to=+2 cause=user_hangup
=> from=+1 to=+2 ended=10:01:30 cause=user_hangup lost.to_number="e01 other_leg"

# A dialled leg that dials on was handed the call, so the last end speaks.
10:01:00 completed leg=1 origin_unless_dialled=yes dialled=2 cause=user_hangup by=caller
10:02:00 completed leg=2 origin_unless_dialled=yes dialled=3 cause=agent_hangup by=callee
=> ended=10:02:00 cause=agent_hangup by=callee

# Two rows of the originating leg: it tried twice, and its last row speaks.
10:00:20 failed leg=1 origin_unless_dialled=yes dialled=2 cause=busy to=+2 started=10:00:00
10:01:00 completed leg=1 origin_unless_dialled=yes dialled=3 to=+3 duration=30 started=10:00:21
=> status=completed ended=10:01:00 cause=normal_clearing to=+3 created=10:00:00 talk=30

# Two legs that nobody dialled both speak for the origin; the one that ended last gives the cause.
10:01:00 completed leg=1 origin_unless_dialled=yes cause=user_hangup
10:01:05 completed leg=2 origin_unless_dialled=yes cause=agent_hangup
=> ended=10:01:05 cause=agent_hangup

# A leg named a is the originating one, and one that nobody dialled speaks for it.
10:00:00 initiated leg=a from=+1 to=+2 | 10:00:05 answered leg=a | 10:01:00 completed leg=a
10:01:01 completed leg=SIP/1 origin_unless_dialled=yes from=+9 cause=user_hangup
=> from=+9 to=+2 ended=10:01:01 cause=user_hangup

# Of legs that dialled each other the first began the call.
10:01:00 completed leg=1 origin_unless_dialled=yes dialled=2 from=+1
10:01:00 completed leg=2 origin_unless_dialled=yes dialled=1 from=+2
=> ended=10:01:00 from=+1 inferred=no

# What proof of life names as dialled is not.
10:00:30 seen leg=9 dialled=1 | 10:01:00 completed leg=1 origin_unless_dialled=yes from=+1 => from=+1 ended=10:01:00
