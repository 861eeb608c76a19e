"""The page: pairs, candidates and evaluations in one HTML file, to be read and labelled.

Reads prompts, dialogues, ratings, rewards and comparisons of all policies, and the arms' pairs.
Writes results/report/page.html, which opens from disk, without a server or a network.
"""

from wim.dag.page import Page

shown = Page(inputs)


rule page:
    """Set every pair, candidate and outcome before a reader's eyes."""
    input:
        prompts=after_sharding(shown.prompts),
        dialogues=after_sharding(shown.dialogues),
        ratings=after_sharding(shown.ratings),
        aspects=after_sharding(shown.aspects),
        rewards=after_sharding(shown.rewards),
        comparisons=after_sharding(shown.comparisons),
        pairs=after_sharding(shown.pairs),
        online=after_sharding(shown.online),
    output:
        page=report(
            paths.report("page.html"),
            caption="../workflow/report/page.rst",
            category="Page",
            labels={"result": "page"},
        ),
    log:
        paths.log("page"),
    localrule: True
    params:
        spec=shown.spec,
        code=code_of("page"),
    script:
        "../workflow/scripts/page.py"
