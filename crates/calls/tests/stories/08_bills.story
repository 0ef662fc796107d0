# Without a tariff and without costs nothing is known of the cost.
10:00:00 answered | 10:01:00.001 completed => cost=none cents=none billed=61 items=none

# Nothing is billed of a call that lives or was not answered.
rate per_minute=0.6
10:00:00 answered => billed=none cost=none
rate per_minute=0.6 fee=1
10:00:00 initiated | 10:01:00 completed => billed=0 cost=none

# A minute's price times what was talked, rounded up to the second.
rate per_minute=0.06
10:00:00 answered | 10:01:30.001 completed => billed=91 cost=0.091 cents=9 minute_seconds=91

# Increments: at least the first, then in steps.
rate per_minute=0.6 initial=60 following=6
10:00:00 answered | 10:00:01 completed => billed=60 cost=0.6
rate per_minute=0.6 initial=60 following=6
10:00:00 answered | 10:01:01 completed => billed=66 cost=0.66

# The fee of an answered call.
rate per_minute=0.6 fee=0.05
10:00:00 answered | 10:00:20 completed
=> cost=0.25 items="inbound talk minute 0.2 = 0.6 x 0.333333333333; connection item 0.05 = 0.05 x 1"

# The longest prefix of the called number decides, whatever the order of the rates.
rate prefix=+4930 per_minute=1 | rate prefix=+49 per_minute=2 | rate per_minute=3
10:00:00 initiated to=+49301 | 10:00:00 answered | 10:01:00 completed => cost=1
rate per_minute=3 | rate prefix=+49 per_minute=2 | rate prefix=+4930 per_minute=1
10:00:00 initiated to=+49401 | 10:00:00 answered | 10:01:00 completed => cost=2
rate per_minute=3 | rate prefix=+49 per_minute=2
10:00:00 initiated to=+331 | 10:00:00 answered | 10:01:00 completed => cost=3
rate prefix=+49 per_minute=2
10:00:00 answered | 10:01:00 completed => cost=none billed=60

# A rate of one direction is for that direction, and goes before one for both.
rate per_minute=1 direction=outbound | rate per_minute=2
10:00:00 initiated direction=outbound | 10:00:00 answered | 10:01:00 completed => cost=1
rate per_minute=1 direction=outbound | rate per_minute=2
10:00:00 initiated direction=inbound | 10:00:00 answered | 10:01:00 completed => cost=2
rate per_minute=1 direction=outbound
10:00:00 initiated direction=inbound | 10:00:00 answered | 10:01:00 completed => cost=none

# A longer prefix goes before the direction.
rate prefix=+49 per_minute=1 | rate per_minute=2 direction=outbound
10:00:00 initiated direction=outbound to=+491 | 10:00:00 answered | 10:01:00 completed => cost=1

# A source that prices its own items knows its costs: no rate is applied, but its increments stay.
rate per_minute=5 initial=60
10:00:00 answered | 10:00:30 completed | 10:01:00 cost product=voice unit=minute unit_price=0.02 quantity=5
=> cost=0.1 billed=60 items="voice minute 0.1 = 0.02 x 5" minute_seconds=300

# Items that the source only counts are priced by the tariff, along with the minutes.
product sms=0.07 | rate per_minute=0.6
10:00:00 answered | 10:01:00 completed | 10:02:00 cost product=sms quantity=2
=> cost=0.74 items="sms item 0.14 = 0.07 x 2; inbound talk minute 0.6 = 0.6 x 1"

# What has no price is not billed.
10:00:00 cost product=fax quantity=2 => cost=none costs=1 items=none

# The source's price goes before the tariff's.
product sms=0.07
10:00:00 cost product=sms unit_price=0.01 quantity=3 => cost=0.03
product sms=0.07
10:00:00 cost product=sms cost=0.5 quantity=3 => cost=0.5 items="sms item 0.5 = none x 3"

# Cost items add up, and a negative one corrects.
10:00:00 cost product=x cost=1 | 10:00:01 cost product=x cost=1 | 10:00:02 cost product=x cost=-0.25
=> costs=3 cost=1.75 set_by.costs="e01; e02; e03"
10:00:00 cost product=x unit_price=0.1 quantity=3 | 10:00:01 cost product=x unit_price=0.1 quantity=-1 => cost=0.2

# A correction of what the tariff says leaves the tariff in force.
rate per_minute=0.6
10:00:00 answered | 10:01:00 completed | 10:02:00 cost product=goodwill cost=-0.1 => cost=0.5
rate per_minute=0.6
10:00:00 answered | 10:01:00 completed | 10:02:00 cost product=goodwill unit_price=0.1 quantity=-2 => cost=0.4

# A price of nothing is a price.
rate per_minute=0.6
10:00:00 answered | 10:01:00 completed | 10:02:00 cost product=voice cost=0 => cost=0

# Exact to the ninth place, and no binary fraction in sight.
10:00:00 cost product=a cost=0.1 | 10:00:01 cost product=b cost=0.2 => cost=0.3
10:00:00 cost product=a unit_price=0.0000000005 => cost=0.000000001
10:00:00 cost product=a cost=0.125 => cents=13

# A bill knows an unanswered call's own costs.
10:00:00 initiated | 10:00:10 completed | 10:00:11 cost product=lookup cost=0.01 => cost=0.01 billed=0
