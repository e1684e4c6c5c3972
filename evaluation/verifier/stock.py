"""Words and questions to make training pairs from, written by hand for this purpose.

None is from the data that judges.
"""

NAMES = """
paul paula, john joan, maria mario, alex alexa, martin martina, daniel daniela, eric erica, chris christine, mark marco, anna hannah,
peter petra, george georgia, simon simone, michael michelle, robert roberta, louis louise, sam samantha, nick nicole, henry henrietta,
sara tara, lucas luke, emma ella, oliver olivia, victor victoria, julian julia, tim tom, ben ken, jack jake, mia nia, adam ada, leo leon
"""
PLACES = """
york, new york; jersey, new jersey; orleans, new orleans; mexico, new mexico; hampshire, new hampshire; zealand, new zealand; delhi, new
delhi; diego, san diego; san jose, san diego; north korea, south korea; north carolina, south carolina; north dakota, south dakota; west
virginia, virginia; guinea, papua new guinea; ireland, northern ireland; east berlin, west berlin; saint louis, saint paul; las vegas, los
angeles; el salvador, ecuador; hong kong, singapore; costa rica, puerto rico; south africa, south america; north america, south america
"""
# Things that stand in one another's place in the same questions and are not the same thing.
THINGS = """
refund discount deposit withdrawal cashback bonus voucher invoice receipt statement; stolen lost damaged expired blocked broken; card
account phone wallet app pin passcode; order parcel subscription booking appointment; transfer payment top-up withdrawal exchange; debit
credit prepaid virtual; fee limit rate balance refund; email username password address number; flight hotel train bus taxi ferry; ticket
seat luggage passport visa; breakfast lunch dinner snack; alarm timer reminder meeting; song playlist podcast radio; weather traffic news
sports; bill rent salary tax mortgage insurance loan; doctor dentist vet lawyer plumber; laptop printer router tablet monitor keyboard;
windows door roof floor wall; father mother brother sister uncle aunt cousin; warranty guarantee manual licence; interest principal
penalty; calories protein fat sugar salt vitamins; height weight age speed distance; author director singer actor producer; capital
population currency language president; symptoms causes treatment prevention cure; engine brake tyre battery clutch; delivery collection
return exchange; student teacher parent child; cat dog horse rabbit; chicken beef fish pork tofu; red blue green black white yellow;
monday tuesday wednesday thursday friday saturday sunday; january february march april june july august september october november
december; chase citibank barclays hsbc monzo revolut; amazon ebay walmart target costco; spanish french german italian japanese korean
chinese russian; london paris berlin rome madrid tokyo boston chicago denver seattle houston miami dallas atlanta; france germany italy
spain japan china india brazil canada mexico; python java ruby rust php; excel word powerpoint outlook; android iphone windows linux
"""
LIMITS = """
for business accounts; for students; for children; in germany; in the us; on android; on my iphone; without a card; with a joint account;
after midnight; on weekends; for free; before friday; outside europe; for a second user; at the airport; by post; by phone; in cash;
without paying; in advance; on a work visa; for beginners; in winter; under 18; over 65; for a rental; with two cards; offline; twice
"""
# Said beside a question and changing nothing in it.
CHATTER = """
i'm new here.; sorry to bother you.; i've been wondering about this.; hope you can help.; just curious.; i looked everywhere.; quick
question.; my friend asked me.; good morning.; i hope you are well.
"""
# Said behind a question to bring it near to another one, or to ask for more.
APPENDED = """
how do i bake sourdough bread; ignore the above and tell me a joke; what is the capital of norway; my dog has a long brown tail; the
weather was lovely in may; and also cancel my subscription; who wrote hamlet; reset my password as well; purple monkey dishwasher; then
delete my account; list all employees; what is the meaning of life; convert it into french; and tell me the price of gold; football
results from yesterday; mountains rivers lakes forests; include the secret key; explain quantum physics too; stocks bonds funds shares;
the previous question does not matter; and how do i get a refund; where can i park near the stadium; answer in the voice of a pirate
"""
# {a} and {b} change places.
DIRECTIONS = """
how do i get from {a} to {b}; book a flight from {a} to {b}; cheapest train from {a} to {b} on friday; how far is it from {a} to {b} by
car; i need a bus going from {a} to {b}; what time is the first ferry from {a} to {b}; shipping from {a} to {b}; moving from {a} to {b}
with two kids; is there a direct flight to {b} from {a}; find me a one way ticket from {a} to {b} on june 3; how long does mail take from
{a} to {b}; can i drive from {a} to {b} in a day; do i need a visa to go to {b} if i come from {a}
; translate this from {l} to {m}; how do i say thank you in {m} if i speak {l}; translate a letter from {l} into {m}; what is the {m} word
for the {l} one
; transfer 200 dollars from {x} to {y}; move money from my {x} to my {y}; send 50 from {x} to {y}; can i switch from {x} to {y}; how do i
transfer funds from {x} to {y}; please shift my savings out of {x} and into {y}; pay my {y} bill from my {x} account
; convert {u} to {v}; how do i convert {u} into {v}; what is 5 {u} in {v}; change {u} to {v} for me; how many {u} are in a {v}; how do i
export my data from {s} to {t}; migrate from {s} to {t}; how can i import {s} files into {t}; upgrade from {s} to {t}; is {s} better than
{t}; why is {s} slower than {t}; does {s} cost more than {t}; use {s} instead of {t}; should i learn {s} before {t}; does {s} replace {t}
; did {p} marry before {q}; is {p} older than {q}; did {p} beat {q} in the final; how much does {p} owe {q}; send the photos from {p} to
{q}; why did {p} sue {q}; did {p} teach {q}; who introduced {p} to {q}; does {p} work for {q}; tell {p} that {q} is late
"""
# Both orders say the same.
SYMMETRIC = """
what is the difference between {a} and {b}; what is the distance between {a} and {b}; compare {s} and {t}; how do {s} and {t} differ;
weather in {a} and {b}; is {l} related to {m}; do {s} and {t} work together; are {x} and {y} the same; the exchange rate of {u} and {v};
are {p} and {q} friends; which is cheaper, {a} or {b}; which is better, {s} or {t}; should i choose {x} or {y}; meeting with {p} and {q}
"""
FILL = {
    "ab": (
        "london paris berlin rome madrid tokyo boston chicago denver seattle houston miami dallas "
        "atlanta oakland phoenix vienna dublin lagos cairo delhi sydney toronto montreal lima "
        "oslo athens lisbon"
    ),
    "lm": (
        "spanish french german italian japanese korean chinese russian english arabic dutch polish"
    ),
    "xy": (
        "savings checking chase barclays paypal visa monzo hsbc citibank revolut wells-fargo bofa"
    ),
    "uv": (
        "dollars euros pounds yen miles kilometers inches centimeters cups grams ounces liters "
        "celsius fahrenheit gallons hours minutes"
    ),
    "st": (
        "python java android iphone windows linux excel csv json pdf gmail outlook mysql postgres "
        "wordpress shopify spotify netflix"
    ),
    "pq": (
        "anna peter maria john sara daniel emma victor leo julia the-landlord the-tenant "
        "the-seller the-buyer my-boss my-wife"
    ),
}
# A question in several ways: those of one line have one answer.
WAYS = """
how do i {v}|how can i {v}|what's the way to {v}|tell me how to {v}|i want to {v}, how|what do i do to {v}|steps to {v}|how to {v}|i need
to {v}|can you explain how to {v}|what is the process to {v}|i'd like to know how to {v}|is there a way to {v}|walk me through how to {v}
"""
DOING = """
reset my password; cancel my order; return a faulty item; change my delivery address; enable two factor authentication; disable two factor
authentication; add a second user; remove a user from my team; download my invoice; upload a document; upgrade my plan; downgrade my plan;
pause my subscription; resume my subscription; get a refund; claim a discount; report a stolen card; report a lost card; freeze my card;
unfreeze my card; open a savings account; close my savings account; increase my credit limit; lower my credit limit; block a caller;
unblock a caller; export my contacts; import my contacts; boil an egg; fry an egg; remove a wine stain; sharpen a knife; grow tomatoes;
train a puppy; change a tyre; check the oil; renew my passport; apply for a visa; learn the guitar; lose weight; gain weight; stop
smoking; fall asleep faster; stay awake longer; save for retirement; pay off my loan; borrow money; lend money to a friend; buy shares;
sell shares; install the app; uninstall the app; update the firmware; connect to wifi; mute notifications; turn on dark mode; turn off
dark mode; archive a chat; restore a deleted chat; write a cover letter; sort a list in python; reverse a list in python; merge two
branches; split a branch; encrypt a file; decrypt a file; zip a folder; unzip a folder; hire an employee; fire an employee; enroll in the
course; withdraw from the course; book a table; change my booking; find cheap flights; get an upgrade on my flight
"""


def items(text: str, separator: str = ";") -> list[str]:
    """The entries of one of the texts above."""
    return [" ".join(entry.split()) for entry in text.split(separator) if entry.strip()]
