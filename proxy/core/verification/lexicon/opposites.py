"""Words that exclude each other in what a question asks for.

General English, written by hand; compared by stem.
"""

# Pairs of opposites.
ANTONYM_PAIRS = """
enable disable, increase decrease, raise lower, open close, opening closing, buy sell, buyer seller, import export, start stop, start
finish, begin end, add remove, add delete, add subtract, create delete, insert delete, send receive, sender recipient, upload download,
encrypt decrypt, login logout, install remove, subscribe cancel, lend borrow, borrower lender, deposit withdraw, credit debit, income
expense, profit loss, asset liability, gain lose, win lose, winner loser, accept reject, accept decline, approve reject, approve decline,
approve deny, allow forbid, allow ban, allow block, allow prevent, permit forbid, permit ban, grant deny, grant revoke, attach detach,
connect disconnect, push pull, push pop, show hide, expand collapse, expand shrink, zoomin zoomout, optin optout, checkin checkout, arrive
depart, arrival departure, arrive leave, enter exit, entrance exit, inbound outbound, incoming outgoing, inside outside, indoor outdoor,
internal external, inner outer, input output, interior exterior, domestic foreign, domestic international, cheap expensive, cheap premium,
cheapest priciest, cheapest dearest, best worst, better worse, good bad, easy hard, easy difficult, simple complex, simple complicated,
fast slow, quick slow, hot cold, warm cool, heat cool, wet dry, hard soft, heavy light, dark light, dark bright, loud quiet, louder
quieter, big small, large small, larger smaller, bigger smaller, biggest smallest, largest smallest, long short, longer shorter, longest
shortest, high low, higher lower, highest lowest, tall short, tallest shortest, wide narrow, thick thin, deep shallow, strong weak,
strongest weakest, full empty, near far, nearest farthest, nearest furthest, closest farthest, closest furthest, old new, old young, older
younger, oldest youngest, oldest newest, ancient modern, early late, earlier later, earliest latest, fastest slowest, rich poor, safe
dangerous, healthy harmful, clean dirty, strength weakness, advantage disadvantage, advantage drawback, benefit drawback, benefit
disadvantage, benefit risk, pro con, positive negative, plus minus, multiply divide, maximum minimum, maximize minimize, upgrade
downgrade, up down, upstairs downstairs, on off, front back, forward backward, forwards backwards, left right, top bottom, upper lower,
north south, east west, northern southern, eastern western, horizontal vertical, ascend descend, ascending descending, rise fall, grow
shrink, gain drop, climb drop, improve worsen, improve damage, improve hurt, improve harm, help harm, help hurt, build destroy, build
demolish, create destroy, repair break, fix break, save spend, save waste, save delete, keep delete, keep discard, remember forget, love
hate, like dislike, praise criticize, support oppose, agree disagree, attack defend, offensive defensive, offense defense, guilty
innocent, public private, legal illegal, sender receiver, teacher student, parent child, mother father, mother daughter, father son, son
daughter, brother sister, husband wife, man woman, boy girl, male female, adult child, king queen, uncle aunt, employer employee, landlord
tenant, owner tenant, homeowner tenant, host guest, doctor patient, client server, read write, reader writer, load save, load unload, lock
unlock, mount unmount, pack unpack, follow unfollow, mute unmute, freeze unfreeze, freeze thaw, block unblock, archive restore, delete
restore, backup restore, undo redo, compress decompress, compress extract, zip unzip, encode decode, serialize deserialize, merge split,
join split, join leave, combine separate, mix separate, append prepend, prefix suffix, header footer, parse format, publish retract, hire
fire, promote demote, recruit dismiss, marry divorce, birth death, born die, live die, alive dead, life death, wake sleep, awake asleep,
sit stand, ask answer, question answer, question statement, teach learn, give take, give receive, bring take, throw catch, hit miss,
succeed fail, success failure, pass fail, true false, correct incorrect, right wrong, yes no, same different, similar different, equal
different, include exclude, inclusive exclusive, present absent, presence absence, present past, future past, day night, morning evening,
sunrise sunset, dawn dusk, summer winter, spring autumn, spring fall, oneway roundtrip, single return, single married, parttime fulltime,
temporary permanent, fixed variable, static dynamic, manual automatic, online offline, online paper, wired wireless, local remote,
synchronous asynchronous, mutable immutable, singular plural, major minor, majority minority, primary secondary, senior junior, major
trivial, abstract concrete, absolute relative, active passive, approximate exact, objective subjective, qualitative quantitative, theory
practice, cause effect, cause prevent, cause cure, cause treat, problem solution, supply demand, import produce, surplus deficit,
inflation deflation, bull bear, gross net, wholesale retail, advance arrears, prepaid postpaid, refund charge, refundable nonrefundable,
overpay underpay, overcharge undercharge, overweight underweight, overestimate underestimate, overcook undercook, smoking nonsmoking,
vegetarian meat, vegan meat, raw cooked, fresh frozen, fresh stale, sweet sour, sweet salty, acid base, acid alkaline, solid liquid,
liquid gas, matter antimatter, convex concave, odd even, natural artificial, natural synthetic, hardware software, frontend backend, new
used, occupied vacant, available booked, clockwise counterclockwise, optional mandatory, optional required, voluntary compulsory,
voluntary mandatory, formal casual, formal informal, virtual physical, renew cancel, keep cancel, keep return, extend shorten, join quit,
enrol withdraw, stay leave, mild severe, acute chronic, free paid, weekday weekend, resident visitor, citizen foreigner, basic premium,
standard premium, passenger driver, cover exclude, seek avoid, earn spend, employee contractor, staff customer, seller customer
"""

# Words of one kind, each excluding all the others.
EXCLUSIVE_KINDS = """
daily weekly monthly quarterly yearly; breakfast lunch dinner; adult child senior student teenager infant toddler; windows macos linux
android ios; black white red blue green yellow orange purple pink brown grey silver; spring summer autumn winter; gold silver platinum
bronze diamond; bachelor master doctorate; beef chicken pork fish lamb turkey tofu; coffee tea juice milk water beer wine; bread rice
pasta pizza cheese egg apple banana potato tomato onion; cat dog horse rabbit hamster bird; car bike motorcycle truck bus train plane boat
ferry taxi; visa mastercard amex paypal; cash cheque card crypto; checking savings mortgage; pin password username; passport licence visa;
sms email phone fax; english french german spanish italian; pdf csv xlsx json xml; python java javascript rust golang ruby php; dollar
euro pound yen; home car travel life pet dental
"""
