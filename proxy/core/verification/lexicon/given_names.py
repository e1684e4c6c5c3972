"""Given names often written without a capital.

Left out: what is a common word too (mark, will, rose, may, bill, grant, chase, faith).
"""

GIVEN_NAMES = frozenset(
    """
aaron abigail adam adrian agnes aisha alan albert alex alexa alexander alexandra alfred alice
alicia alison amanda amelia amy ana andrea andreas andrew angela anita anna anne annie anthony
antonio arthur audrey barbara beatrice ben benjamin bernard beth betty bob bobby brad brandon
brenda brian bruce bruno bryan caleb cameron camilla carl carla carlos carmen carol caroline
carolyn catherine cecilia charles charlie charlotte chloe chris christian christina christine
christopher claire clara claudia colin connor craig cynthia daisy dan daniel daniela danielle
danny dave david deborah debra denise dennis derek diana diane diego dominic donald donna doris
dorothy douglas dylan eddie edgar edith edmund eduardo edward edwin eleanor elena elizabeth ella
ellen emily emma eric erica erik ernest esther ethan eugene eva evelyn felix fernando fiona
florence frances francesca francis francisco frank fred frederick gabriel gabriela gareth gary
geoff geoffrey george georgia gerald gina giulia gloria gordon graham greg gregory hannah harold
harry harvey hassan heather hector helen henrietta henry herbert howard hugh hugo ian ibrahim
ingrid irene isaac isabel isabella ivan jacob jacqueline jake james jamie jane janet janice
jasmine jason javier jeff jeffrey jennifer jenny jeremy jerry jessica jesse jim jimmy joan joanna
joanne joe joel johanna john johnny jonathan jorge jose joseph josephine joshua juan juanita
judith judy julia julian juliana julie karen karl kate katherine kathleen kathryn katie keith
kelly ken kenneth kevin kimberly kyle larry laura lauren lawrence leah leo leon leonard leonardo
leslie liam linda lisa lorenzo louis louisa louise lucas lucia lucy luis luke lydia lynn malcolm
manuel marc marcel marco marcus margaret maria marie marilyn mario marion martha martin martina
martine mary matilda matthew maureen maurice megan melanie melissa mia michael michaela michelle
miguel mike mohammed monica nancy naomi natalia natalie natasha nathan neil nicholas nick nicola
nicole nigel nina noah nora norma norman oliver olivia omar oscar pablo pamela patricia patrick
paul paula paulina pauline pedro peggy peter petra philip phyllis priya rachel ralph ramona
raymond rebecca ricardo richard rita robert roberta roberto robin rodney roger roland ronald rosa
rosemary ruben rupert russell ruth ryan sally sam samantha samuel sandra sara sarah scott sean
sebastian sergio shannon sharon sheila shirley simon simone sofia sonia sophia sophie stanley
stella stephanie stephen steve steven stuart susan sylvia tamara tara teresa terry theodore
theresa thomas tim timothy tina toby todd tom tommy tony tracy trevor valentina valerie vanessa
vera veronica vicky victor victoria vincent vivian walter wanda warren wayne wendy wesley wilfred
william xavier yasmin yusuf yvonne zoe
""".split()
)
# Names that are words as well: never typos, but not always meant as a name.
COMMON_WORD_NAMES = frozenset(
    """
mark will rose may bill grant chase faith grace jack hope joy dawn drew art ray sue pat rob bob
don dean cliff earl duke miles norm grace holly ivy heath iris lily olive pearl ruby amber
crystal april june august summer autumn paris chelsea carter hunter mason parker taylor tyler
cooper porter piper harper jordan jade penny melody destiny eden rusty rocky buck chip chuck skip
max dale glen gene guy
""".split()
)
