-- Tables of some 100,000 rows, indexes, joins, aggregates, text search by like, JSON, windows, recursion, updates, deletes.
pragma journal_mode = memory;
pragma synchronous = off;
create table items(id integer primary key, number integer, word text, filler blob);
create table links(source integer, target integer, weight real);

begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into items select i, i * 7919 % 10007, printf('w%x', i * 7919 % 5003), zeroblob(i % 200) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into links select i, i * 31 % 60000 + 1, i % 97 / 7.0 from n;
commit;
create index items_by_word on items(word, number);
create index links_by_target on links(target);

select count(*), sum(number), min(word), max(word), sum(length(filler)) from items;
select word, count(*) as many, group_concat(id) from (select * from items where id < 30000) group by word order by many desc, word limit 3;
select sum(length(list)) from (select group_concat(word, ', ') as list from items group by number % 100);
select count(*), round(sum(l.weight), 3) from items a join links l on l.source = a.id join items b on b.id = l.target where a.number < b.number;
select count(*) from items where word like '%a%b%';
select count(distinct word), count(distinct number) from items;
select id, rank from (select id, rank() over (partition by number % 10 order by word, id desc) as rank from items) where rank = 7 order by id limit 5;
select sum(json_extract(document, '$.deep.number')) from (select json_object('id', id, 'deep', json_object('number', number)) as document from items);
select length(json_group_array(word)) from items;
with recursive walk(node, depth) as (select 1, 0 union select target, depth + 1 from walk join links on source = node where depth < 200)
  select count(*), max(node) from walk;

begin;
update items set word = upper(word) || '-' || number where id % 3 = 0;
update items set filler = zeroblob(1000 + id % 3000) where id % 50 = 0;
delete from items where id % 7 = 0;
insert into items select id + 100000, number, word, filler from items where id % 2 = 0;
commit;
select count(*), sum(length(word)), sum(length(filler)) from items;

create table copies as select * from items order by filler, word, id;
select max(rowid), sum(rowid * id % 1000) from copies;
drop table copies;
create trigger on_link after insert on links begin update items set number = number + 1 where id = new.target; end;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into links select i, i, 1 from n;
select sum(number) from items;
explain query plan select * from items where word = 'w10';
pragma integrity_check;
