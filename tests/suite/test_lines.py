"""The grammar of lines has all that scripts say, and no more; and every question that is drawn can be stored and read again."""

import pytest
from hypothesis import HealthCheck, given, seed, settings

from adjudge.oracle import reference
from adjudge.oracle.lockstep import ACTS, Divergence, LineError, Lockstep, act, check_script, names_in, replay, target
from adjudge.oracle.lockstep.grammar import statement_of
from adjudge.oracle.lockstep.lines import compiled
from adjudge.oracle.program import Question
from adjudge.records.case import Case, parse_case
from adjudge.records.ledger import shipped_ledger
from adjudge.strategies import questions
from adjudge.strategies.catalogue import CATALOGUE
from adjudge.strategies.rules import SEMANTICS
from adjudge.strategies.scripts import drive

#: What no script says.
REFUSED = (
    "a = __import__('os').system('true')", "a = lib.__class__", "a = a.__class__", "a = a.data.tofile('x')",
    "a = np.load('x')", "a = lib.add(a, print(1))", "a = lib.ones(2, dtype=object)", "a = np.array(a, order='F')",
    "a = lib.sum(a, *b)", "a = lib.add(**a)", "a = b if c else d", "a = (b := c)", "a = b = c", "a, b = c", "a: int = b",
    "x = a", "lib = a", "a = 1", "a = 'text'", "a = 2.0 ** 3.0", "a = [1.0] * 3", "a = a + (b + c)", "a = lib.zeros(10**12)",
    "a = lib.zeros((64, 64))", "a = lib.repeat(a, 1000)", "a = lib.arange(0, 1, 1)", "a = lib.tensor(9007199254740993)",
    "answer = len(lib)", "answer = repr(a)", "answer = a.shape", "a.backward", "a.clear_graph()", "np.add(a, b)", "pass", "",
    "a = 1if 1else 2", "del a, b",
)  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.parametrize("use", [act, compiled, names_in, target, statement_of, lambda line: replay(reference, [line])])
def test_what_is_no_line_is_refused_by_all_that_read_lines(line: str, use: object) -> None:
    assert callable(use)
    with pytest.raises(LineError, match="is no line of a script: "):
        use(line)


def test_every_line_that_is_drawn_is_in_the_grammar_and_every_script_can_be_stored() -> None:
    drawn: set[str] = set()

    def on_end(lockstep: Lockstep, divergence: Divergence | None) -> None:
        check_script(lockstep.lines)
        drawn.update(lockstep.lines)

    for row in SEMANTICS:
        drive(reference, on_end, 30, 3, row)
    assert len(drawn) > 500
    assert {act(line) for line in drawn} == set(ACTS)


def test_every_snippet_of_a_shipped_ledger_is_in_the_grammar() -> None:
    snippets = [known.snippet for known in shipped_ledger("mygrad").divergences]
    assert len(snippets) > 10
    for snippet in snippets:
        check_script(snippet)


@pytest.mark.parametrize("op", CATALOGUE)
def test_every_question_that_is_drawn_can_be_stored_and_read_again(op: str) -> None:
    @seed(0)
    @settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(questions(op))
    def stored(question: Question) -> None:
        case = Case(id="x", backend="mirror", verdict="wrong", question=question)
        again = parse_case(case.model_dump_json())
        assert isinstance(again, Case)
        assert again.question.id == question.id

    stored()
